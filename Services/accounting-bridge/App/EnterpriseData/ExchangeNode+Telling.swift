import Contracts
import Messaging
import Postgres
import Primitives

/// What a base has told of our orders and of its clients: kept as it came, and made into reports.
extension ExchangeNode {
    /// The key that an order `o` has in its own base; ours where that is no UUID, or not known.
    private static let key =
        "CASE WHEN o.onec_id ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' THEN o.onec_id::uuid ELSE o.id END"

    /// - Parameter confirmed: the last message of ours that the base had confirmed before this one.
    func keep(
        _ message: EnterpriseMessage, _ exchange: ID, confirmed: Int64, _ taken: inout Taken,
        in transaction: EventTransaction
    ) async throws {
        // Of an object that stands in a message twice the last word holds.
        let last = Dictionary(message.told.map { ($0.id, $0) }) { _, newer in newer }
        let named = Set(last.values.flatMap(\.orders))
        // Ours by their keys: an order that was given to another base has the key that it has there.
        let ours = try await transaction.query(
            """
            SELECT id, id AS key FROM order_out WHERE base = $1 AND id = ANY($2::uuid[])
            UNION SELECT o.id, \(Self.key) FROM order_books b JOIN order_out o ON o.id = b.order_id
            WHERE b.base = $1 AND b.ask_at IS NOT NULL AND (o.id = ANY($2::uuid[]) OR o.onec_id = ANY($3::text[]))
            """, [.text(base), .ids(named.sorted()), .texts(named.map(\.description).sorted())]
        ).reduce(into: [ID: ID]()) { $0[try $1.id("key")] = try $1.id("id") }
        let kept = last.values.filter { $0.orders.contains { ours[$0] != nil } }
        let strangers = try await strangers(Array(last.values), ours, exchange, in: transaction)
        let links = kept.flatMap { told in
            Set(told.orders.compactMap { ours[$0] }).sorted().map { (object: told.id, order: $0) }
        }
        let gone = try await transaction.query(
            """
            UPDATE told_link t SET is_gone = true, exchange_id = $2 WHERE t.base = $1 AND t.object_id = ANY($3::uuid[])
                AND NOT t.is_gone AND NOT EXISTS (
                    SELECT 1 FROM unnest($4::uuid[], $5::uuid[]) AS l (object_id, order_id)
                    WHERE l.object_id = t.object_id AND l.order_id = t.order_id)
            RETURNING t.order_id
            """,
            [
                .text(base), .id(exchange), .ids(last.keys.sorted()), .ids(links.map(\.object)),
                .ids(links.map(\.order)),
            ]
        ).map { try $0.id("order_id") }
        try await transaction.run([
            Statement(
                """
                INSERT INTO told_object (base, object_id, kind, body, number)
                SELECT $1, o.id, o.kind, o.body, nullif(o.number, '')
                FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[]) AS o (id, kind, body, number)
                ON CONFLICT (base, object_id) DO UPDATE SET kind = excluded.kind, body = excluded.body, number = excluded.number
                """,
                [
                    .text(base), .ids((kept + strangers).map(\.id)), .texts((kept + strangers).map(\.kind)),
                    .texts((kept + strangers).map(\.xml)), .texts((kept + strangers).map { $0.number ?? "" }),
                ]),
            Statement(
                """
                INSERT INTO told_link (base, object_id, order_id, exchange_id)
                SELECT $1, l.object_id, l.order_id, $2 FROM unnest($3::uuid[], $4::uuid[]) AS l (object_id, order_id)
                ON CONFLICT (base, object_id, order_id) DO UPDATE SET is_gone = false, exchange_id = excluded.exchange_id
                """, [.text(base), .id(exchange), .ids(links.map(\.object)), .ids(links.map(\.order))]),
        ])
        try await sendAgainWhatLostItsNumber(
            to: Array(last.values), confirmed: confirmed, &taken, in: transaction)
        taken.affected = Set(gone + links.map(\.order)).sorted()
        // Whatever becomes of this process, they are told of in the next rounds.
        try await transaction.query(
            "UPDATE order_out SET ask_at = now() WHERE base = $1 AND id = ANY($2::uuid[])",
            [.text(base), .ids(taken.affected)])
        try await transaction.query(
            "UPDATE order_books SET ask_at = now() WHERE base = $1 AND ask_at IS NOT NULL AND order_id = ANY($2::uuid[])",
            [.text(base), .ids(taken.affected)])
        taken.words.append(
            "сообщение № \(message.header.messageNo): объектов о наших заказах \(kept.count), снято связей \(gone.count), "
                + "прочего \(message.passedOver + last.count - kept.count)")
        taken.troubles += message.refused
    }

    /// A base may tell of an order before we know its key there, one of another base's, or its own: what it tells by a key that is nobody's is kept for it.
    ///
    /// - Returns: such objects that are not kept otherwise.
    private func strangers(
        _ told: [EnterpriseMessageReader.Told], _ ours: [ID: ID], _ exchange: ID, in transaction: EventTransaction
    ) async throws -> [EnterpriseMessageReader.Told] {
        let keepsBooks = try await !transaction.query(
            """
            SELECT 1 AS one FROM book_authority a, jsonb_each(a.keepers) o, jsonb_each_text(o.value) k
            WHERE k.value = $1 LIMIT 1
            """, [.text(base)]
        ).isEmpty
        // The base's own orders may come after what names them.
        guard keepsBooks || births.takes(from: base) else { return [] }
        let links = told.filter { $0.kind != "order" }.flatMap { object in
            object.orders.filter { ours[$0] == nil }.map { (key: $0, object: object.id) }
        }
        try await transaction.query(
            "DELETE FROM told_stranger WHERE base = $1 AND object_id = ANY($2::uuid[])",
            [.text(base), .ids(told.map(\.id))])
        try await transaction.query(
            """
            INSERT INTO told_stranger (base, key, object_id, exchange_id)
            SELECT $1, l.key, l.object_id, $2 FROM unnest($3::uuid[], $4::uuid[]) AS l (key, object_id) ON CONFLICT DO NOTHING
            """, [.text(base), .id(exchange), .ids(links.map(\.key)), .ids(links.map(\.object))])
        let unknown = Set(links.map(\.object))
        return told.filter { unknown.contains($0.id) && !$0.orders.contains { ours[$0] != nil } }
    }

    /// Cards of clients, some at a time: a first message may hold all that a base has. The same card again changes nothing, so that a death in between
    /// costs nothing either.
    ///
    /// - Returns: of how many there was news.
    func learn(_ cards: [ClientCard], _ exchange: ID) async throws -> Int {
        try await ClientCards.learn(cards, base, exchange, bus)
    }

    /// Orders of the base's own are taken before what names them is kept, some at a time, as cards are.
    ///
    /// - Returns: how many are new.
    func bear(_ message: EnterpriseMessage, _ exchange: ID, named subject: String) async throws -> Int {
        guard births.takes(from: base) else { return 0 }
        let told = Dictionary(message.told.filter { $0.kind == "order" }.map { ($0.id, $0) }) { _, newer in newer }
        var count = 0
        for some in told.keys.sorted().parts(of: Self.ordersAtOnce) {
            let known = try await births.known(some, in: bus.pool)
            var (born, troubles): ([BornOrder], [OrderBirths.Trouble]) = ([], [])
            for one in some.filter({ !known.contains($0) }).compactMap({ told[$0] }) {
                do {
                    if let order = try EnterpriseOrderState.born(one, currency: births.currency) { born.append(order) }
                } catch {
                    troubles.append(.init(number: one.ownNumber, words: EnterpriseOrderState.words(error)))
                }
            }
            count += try await births.take(born, troubles: troubles, base, exchange, named: subject, bus)
        }
        return count
    }

    private static let ordersAtOnce = 200

    /// What the base has told of these orders so far, each as a whole.
    func reports(of orders: [ID]) async throws -> [HeardReport] {
        let answers = try await bus.pool.run([
            Statement(
                """
                SELECT l.order_id, CASE WHEN o.base = $1 THEN o.id ELSE \(Self.key) END AS key, o.number, o.request ->> 'currency' AS currency, l.object_id, l.is_gone, l.exchange_id,
                    '\(EnterpriseKind.payment)' = ANY(n.sends) AS tells_payments, '\(EnterpriseKind.shipment)' = ANY(n.sends) AS tells_shipments
                FROM told_link l JOIN order_out o ON o.id = l.order_id JOIN exchange_node n ON n.base = l.base
                WHERE l.base = $1 AND l.order_id = ANY($2::uuid[]) ORDER BY l.order_id, l.object_id
                """, [.text(base), .ids(orders)]),
            Statement(
                """
                SELECT object_id, kind, body FROM told_object WHERE base = $1 AND object_id IN (
                    SELECT object_id FROM told_link WHERE base = $1 AND order_id = ANY($2::uuid[]))
                """, [.text(base), .ids(orders)]),
        ])
        let bodies = try Dictionary(
            answers[1].map { (try $0.id("object_id"), (kind: try $0.string("kind"), xml: try $0.string("body"))) }
        ) { first, _ in first }
        return try Dictionary(grouping: answers[0]) { try $0.id("order_id") }.values.compactMap { rows in
            guard let first = rows.first else { return nil }
            let state = EnterpriseOrderState(
                order: try first.id("key"), number: try first.string("number"),
                currency: Currency(try first.string("currency")) ?? .rub,
                tellsPayments: try first.bool("tells_payments"), tellsShipments: try first.bool("tells_shipments"))
            let objects = try rows.compactMap { row -> EnterpriseOrderState.Object? in
                let id = try row.id("object_id")
                return try bodies[id].map {
                    .init(id: id, kind: $0.kind, xml: $0.xml, isGone: try row.bool("is_gone"))
                }
            }
            let exchange = try rows.map { try $0.id("exchange_id") }.max() ?? .make()
            return HeardReport(
                exchange: exchange, subject: state.number, number: state.number, result: state.report(objects))
        }
    }
}
