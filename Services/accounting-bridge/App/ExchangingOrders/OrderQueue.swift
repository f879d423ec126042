import Contracts
import Messaging
import Postgres
import Primitives

/// Orders on their way out, under 1C's own rules: one bad order must never block those behind it, and a query
/// repeated in one session gets the same orders; only a new session may get fewer (reference 36–39).
struct OrderQueue: Sendable {
    let bus: EventBus

    /// Sessions in which an order may stay unacknowledged alone before it is set aside by name.
    private static let offerLimit: Int64 = 3

    /// States in which an order is on its way to its base.
    static let waits = "state IN ('ready', 'sending', 'doubtful')"

    /// Takes what crm-core asks for.
    ///
    /// - Parameter wake: told of the base of each order that is taken on.
    static func handlers(_ authority: BookAuthority, wake: @escaping @Sendable (_ base: String) -> Void)
        -> EventHandlers
    {
        var handlers = EventHandlers()
        handlers.on(OrderRequested.self) { request, event, transaction in
            let problem = Self.problem(request)
            let added = try await transaction.query(
                """
                INSERT INTO order_out (id, number, base, journey_id, request, state, reason, requested_at, last_event,
                    match_again, refused_at)
                VALUES ($1, $2, $3, $4, $5::jsonb, $6, $7, $8, $9, true, CASE WHEN $6 = 'refused' THEN now() END)
                ON CONFLICT DO NOTHING
                """,
                [
                    .id(request.orderId), .text(request.number), .text(request.base),
                    .id(event.correlation), .text(try JSON.text(request)),
                    .text(problem == nil ? "ready" : "refused"), .text(problem), .time(event.at),
                    .id(event.id),
                ]
            ).affected
            transaction.afterCommit { wake(request.base) }
            if added == 0 {
                // Asked for before: a message that is done again changes nothing.
                let known = try await transaction.query(
                    "SELECT 1 AS one FROM order_out WHERE id = $1", [.id(request.orderId)])
                guard known.isEmpty else { return }
            }
            let others = authority.others(request.organization, order: request.base)
            if added == 1 { try await OrderReports.expect(of: others, request.orderId, in: transaction) }
            let reason = added == 1 ? problem : "номер \(request.number) уже был у другого заказа"
            if let reason {
                try transaction.emit(
                    OrderRefused(
                        orderId: request.orderId, number: request.number, base: request.base,
                        reason: reason, by: "мост 1С"),
                    key: request.orderId.description, answering: event)
            }
        }
        // An order of 1C's own stands in a line from now on, or in none.
        handlers.on(OrderLinked.self) { linked, _, transaction in
            try await transaction.query(
                "UPDATE order_out SET journey_id = $2 WHERE id = $1", [.id(linked.orderId), .id(linked.journeyId)])
        }
        return handlers
    }

    /// What 1C would stumble over; nil when nothing.
    static func problem(_ order: OrderRequested) -> String? {
        if !(1...11).contains(order.number.count) || !order.number.allSatisfy({ $0.isASCII && $0.isNumber }) {
            return "номер заказа должен состоять из 1–11 цифр"
        }
        if order.lines.isEmpty { return "в заказе нет строк" }
        if order.lines.contains(where: { $0.name.isEmpty }) { return "у строки заказа нет наименования" }
        if order.counterparty.name.isEmpty { return "у заказа нет названия клиента" }
        return nil
    }

    /// The orders of this session: what it was given before, or a new batch.
    func batch(_ session: ID, _ base: String, timeZone: String) async throws -> [OutgoingOrder] {
        try await bus.transaction { transaction in
            let row = try await transaction.query(
                "SELECT batch::text AS batch FROM onec_session WHERE id = $1 FOR UPDATE", [.id(session)]
            ).first
            let ids: [String]
            if let row, try row.optionalString("batch") != nil {
                ids = try row.list("batch")
            } else {
                ids = try await choose(session, base, in: transaction)
            }
            let rows = try await transaction.query(
                """
                SELECT o.request::text AS request, (o.requested_at AT TIME ZONE $2)::date::text AS day, c.onec_id, c.name, c.full_name
                FROM order_out o
                LEFT JOIN counterparty_link l ON l.base = o.base AND l.client_id::text = o.counterparty_id
                LEFT JOIN counterparty_card c ON c.base = l.base AND c.onec_id = l.onec_id AND NOT c.is_deleted
                WHERE o.id = ANY($1::text[]::uuid[]) ORDER BY o.requested_at, o.number
                """, [.texts(ids), .text(timeZone)])
            var found = try rows.map { row in
                var outgoing = OutgoingOrder(
                    order: try JSON.decode(OrderRequested.self, from: try row.string("request").utf8),
                    day: try row.string("day"))
                if let id = try row.optionalString("onec_id") {
                    outgoing.card = (id, try row.string("name"), try row.optionalString("full_name"))
                }
                return outgoing
            }
            let goods = try await Self.goods(found.flatMap { $0.order.lines.map(\.sku) }, base: base, in: transaction)
            for index in found.indices { found[index].goods = goods }
            return found
        }
    }

    /// The base's own ids of goods by their articles; one that two goods have is none.
    static func goods(
        _ articles: [String], base: String, in runner: some StatementRunner
    ) async throws -> [String: String] {
        let wanted = Set(articles).filter { !$0.isEmpty }.sorted()
        guard !wanted.isEmpty else { return [:] }
        let rows = try await runner.query(
            """
            WITH wanted AS (SELECT sku FROM unnest($2::text[]) AS u (sku)),
                named AS (SELECT w.sku, min(g.id) AS id, count(*) AS count FROM wanted w
                    JOIN good g ON g.base = $1 AND lower(left(g.sku, 200)) = lower(left(w.sku, 200)) AND NOT g.is_deleted GROUP BY w.sku),
                coded AS (SELECT w.sku, min(g.id) AS id FROM wanted w JOIN good g ON g.base = $1 AND g.barcode = w.sku AND NOT g.is_deleted
                    WHERE w.sku NOT IN (SELECT sku FROM named) GROUP BY w.sku HAVING count(*) = 1)
            SELECT sku, id FROM named WHERE count = 1 UNION ALL SELECT sku, id FROM coded
            """, [.text(base), .texts(wanted)])
        return try rows.reduce(into: [:]) { $0[try $1.string("sku")] = try $1.string("id") }
    }

    private func choose(_ session: ID, _ base: String, in transaction: EventTransaction) async throws -> [String] {
        let state = try await transaction.query(
            """
            INSERT INTO base_state AS b (base) VALUES ($1) ON CONFLICT (base) DO UPDATE SET last_contact = now()
            RETURNING batch_limit, paused_by
            """, [.text(base)])[0]
        if try state.optionalString("paused_by") != nil { return [] }
        var limit = try state.int("batch_limit")
        let unanswered = try await transaction.query(
            """
            SELECT batch::text AS batch, acknowledged FROM onec_session
            WHERE base = $1 AND id <> $2 AND batch IS NOT NULL AND cardinality(batch) > 0 AND type <> $3
            ORDER BY started_at DESC LIMIT 1
            """, [.text(base), .id(session), .text(HandExchange.session)]
        ).first
        if let unanswered, try !unanswered.bool("acknowledged") {
            let size = Int64(try unanswered.list("batch").count)
            limit = max(1, size / 2)
            try await transaction.query(
                "UPDATE base_state SET batch_limit = $2 WHERE base = $1", [.text(base), .int(limit)])
            if size == 1 { try await quarantine(base, in: transaction) }
        }
        // One at a time, the least tried goes first: an order that 1C stumbles over holds up nobody.
        let rows = try await transaction.query(
            """
            SELECT id FROM order_out WHERE base = $1 AND state = 'ready'
            ORDER BY CASE WHEN $2 = 1 THEN offered ELSE 0 END, requested_at, number LIMIT $2 FOR UPDATE
            """, [.text(base), .int(limit)])
        let ids = try rows.map { try $0.string("id") }
        if ids.count == 1 {
            try await transaction.query(
                "UPDATE order_out SET offered = offered + 1 WHERE id = $1::text::uuid", [.text(ids[0])])
        }
        try await transaction.query(
            "UPDATE onec_session SET batch = $2::text[]::uuid[] WHERE id = $1", [.id(session), .texts(ids)])
        return ids
    }

    /// An order that 1C leaves unacknowledged again and again, while it has taken others since, stands aside with its
    /// name. Without that proof the base itself is at fault, and every order stays.
    private func quarantine(_ base: String, in transaction: EventTransaction) async throws {
        let reason = "1С не подтверждает этот заказ: он отложен, чтобы не задерживать другие"
        let rows = try await transaction.query(
            """
            SELECT id, number, journey_id, last_event FROM order_out WHERE id = (
                SELECT id FROM order_out o WHERE base = $1 AND state = 'ready' AND offered >= $2
                    AND EXISTS (
                        SELECT 1 FROM onec_session s WHERE s.base = $1 AND s.acknowledged AND cardinality(s.batch) > 0
                            AND s.started_at > (SELECT min(t.started_at) FROM onec_session t
                                                WHERE t.base = $1 AND t.batch = ARRAY[o.id]))
                ORDER BY requested_at, number LIMIT 1)
            FOR UPDATE
            """, [.text(base), .int(Self.offerLimit)])
        if rows.isEmpty {
            try await BaseHealth.failing(base, .orders, "1С не подтверждает получение заказов", in: transaction)
        }
        for row in rows {
            try await Self.refuse(row, try row.string("number"), base, reason, by: "мост 1С", in: transaction)
        }
    }

    /// The base does not take an order: it stands aside with its name, and the others go on.
    ///
    /// - Parameter row: its id, journey_id and last_event.
    static func refuse(
        _ row: Row, _ number: String, _ base: String, _ reason: String, by: String, in transaction: EventTransaction
    ) async throws {
        let id = try row.id("id")
        let event = try transaction.emit(
            OrderRefused(orderId: id, number: number, base: base, reason: reason, by: by), key: id.description,
            correlation: try row.optionalID("journey_id"), causation: try row.id("last_event"))
        try await transaction.query(
            "UPDATE order_out SET state = 'refused', refused_at = now(), reason = $2, last_event = $3, ask_at = NULL, report_digest = NULL WHERE id = $1",
            [.id(id), .text(reason), .id(event)])
    }

    /// 1C says that it has stored what this session was given. The same word again changes nothing.
    func acknowledge(_ session: ID, _ base: String, exchange: ID) async throws -> [(number: String, journey: ID?)] {
        try await bus.transaction { transaction in
            let row = try await transaction.query(
                "SELECT batch::text AS batch, acknowledged, type FROM onec_session WHERE id = $1 FOR UPDATE",
                [.id(session)]
            ).first
            // A file that a person has loaded is no word of the base's.
            if try row?.string("type") != HandExchange.session {
                try await BaseHealth.works(base, [.orders], in: transaction)
            }
            guard let row, try row.optionalString("batch") != nil, try !row.bool("acknowledged") else { return [] }
            try await transaction.query(
                """
                SELECT 1 AS one FROM order_out WHERE id = ANY($1::text[]::uuid[]) ORDER BY requested_at, number FOR UPDATE
                """, [.texts(try row.list("batch"))])
            let taken = try await transaction.query(
                """
                UPDATE order_out SET state = 'sent', sent_at = now()
                WHERE id = ANY($1::text[]::uuid[]) AND state = 'ready'
                RETURNING id, number, journey_id, last_event
                """, [.texts(try row.list("batch"))])
            var result: [(String, ID?)] = []
            for order in taken {
                let id = try order.id("id")
                let journey = try order.optionalID("journey_id")
                let event = try transaction.emit(
                    OrderSent(
                        orderId: id, number: try order.string("number"), base: base,
                        exchangeId: exchange, by: "1С \(base)"),
                    key: id.description, correlation: journey, causation: try order.id("last_event"))
                try await transaction.query(
                    "UPDATE order_out SET last_event = $2 WHERE id = $1", [.id(id), .id(event)])
                result.append((try order.string("number"), journey))
            }
            try await transaction.run([
                Statement("UPDATE onec_session SET acknowledged = true WHERE id = $1", [.id(session)]),
                Statement(
                    "UPDATE base_state SET batch_limit = least(50, batch_limit * 2) WHERE base = $1",
                    [.text(base)]),
            ])
            return result
        }
    }
}
