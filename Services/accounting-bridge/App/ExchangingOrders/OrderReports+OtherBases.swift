import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit
import Sodium

/// What a base tells of an order that was given to another: «Бухгалтерия» keeps the money of orders that «Управление торговлей» has. Of the order
/// itself it says nothing that counts, only of the kinds of documents that it is authoritative for; the others are seen and not counted.
extension OrderReports {
    func say(
        ofOther report: OrderReport, _ base: String, _ tells: Bool, _ order: inout Known, _ exchange: ID,
        in transaction: EventTransaction
    ) async throws -> Said {
        let known = try await transaction.query(
            """
            INSERT INTO order_books AS b (order_id, base) VALUES ($1, $2)
            ON CONFLICT (order_id, base) DO UPDATE SET base = b.base RETURNING report_digest, told_by
            """, [.id(order.id), .text(base)])[0]
        if try Self.isOlder(exchange, than: known.optionalID("told_by")) { return Self.isOld(report, order) }
        let (organization, own) = (order.organization, order.base)
        let told = report.documents.map { authority.mark($0, by: base, organization, order: own) }
        let (before, vanished) = order.documents.tell(told, by: base, isWhole: report.isWhole && report.refused.isEmpty)
        let keeps = keeps(base, order)
        let event = BooksReported(
            orderId: order.id, number: report.number, base: base, exchangeId: exchange, documents: told + vanished,
            tellsPayments: keeps.payments ? tells || order.tellsPayments : nil,
            tellsShipments: keeps.shipments ? report.tellsShipments ?? tells : nil,
            revenue: keeps.shipments ? report.revenue : nil,
            cost: keeps.shipments ? report.cost : nil, by: "1С \(base)")
        try await learnClient(report, base, order, exchange, in: transaction)
        try await settle(report, base, exchange, in: transaction)
        let digest = try sha256(
            JSON.encode(
                Digest(
                    documents: told.map(\.content), refused: report.refused, revenue: event.revenue, cost: event.cost,
                    tells: report.tellsPayments)))
        let isKnown = try known.optionalBytes("report_digest") == digest && vanished.isEmpty
        if !isKnown || report.refused.isEmpty {
            try await transaction.query(
                "UPDATE order_books SET report_digest = $3, told_by = $4 WHERE order_id = $1 AND base = $2",
                [.id(order.id), .text(base), .bytes(digest), .id(exchange)])
        }
        guard !isKnown || !told.allSatisfy(before.contains) else {
            return Said(
                number: report.number, words: "заказ \(report.number) по базе \(base): без изменений", isNews: false,
                journey: order.journey)
        }
        if try known.optionalBytes("report_digest") != nil {
            LateChanges.keep(
                DocumentChange.between(before, told + vanished), order: report.number, base, exchange,
                since: try known.optionalID("told_by"), in: transaction)
        }
        try await publish(event, of: order, in: transaction)
        let words = told.compactMap(Self.words)
        return Said(
            number: report.number,
            words: (["заказ \(report.number) по базе \(base)"] + (words.isEmpty ? ["документов нет"] : words))
                .joined(separator: ", "),
            isNews: !isKnown, journey: order.journey)
    }

    private func publish(_ event: BooksReported, of order: Known, in transaction: EventTransaction) async throws {
        let said = try transaction.emit(
            event, key: order.id.description, correlation: order.journey, causation: try order.row.id("last_event"))
        try await transaction.query(
            """
            UPDATE order_out SET told_documents = $2::jsonb, told_payments = coalesce($3, told_payments), last_event = $4,
                match_again = true WHERE id = $1
            """,
            [
                .id(order.id), .text(try JSON.text(order.documents.all)), .bool(event.tellsPayments), .id(said),
            ])
    }

    // MARK: asking

    /// Bases that keep documents of the order will be asked for it, too.
    static func expect(of bases: Set<String>, _ order: ID, in runner: some StatementRunner) async throws {
        guard !bases.isEmpty else { return }
        try await runner.query(
            """
            INSERT INTO order_books (order_id, base) SELECT $1, base FROM unnest($2::text[]) AS n (base)
            ON CONFLICT (order_id, base) DO UPDATE SET ask_at = now()
            """, [.id(order), .texts(bases.sorted())])
    }

    /// The base is asked for the order at once, whether it was given to it or to another.
    static func ask(_ number: String, _ base: String, in transaction: EventTransaction) async throws {
        try await transaction.query(
            "UPDATE order_out SET ask_at = now() WHERE number = $1 AND base = $2", [.text(number), .text(base)])
        try await transaction.query(
            """
            UPDATE order_books SET ask_at = now()
            WHERE base = $2 AND ask_at IS NOT NULL AND order_id = (SELECT id FROM order_out WHERE number = $1)
            """, [.text(number), .text(base)])
    }

    // MARK: when the settings change

    /// Orders that are marked anew in one transaction.
    private static let pageSize = 200

    func isAuthorityKnown() async throws -> Bool {
        try await !bus.pool.query(
            "SELECT 1 AS one FROM book_authority WHERE keepers = $1::jsonb", [.text(try JSON.text(authority.keepers))]
        ).isEmpty
    }

    /// After a change of the settings what was told counts, or does not, by the new ones. It may be cut off anywhere and begins again; nothing is read
    /// before it is done.
    func markAnew() async throws {
        if try await !isAuthorityKnown() {
            try await bus.pool.query("UPDATE order_books SET ask_at = NULL WHERE ask_at IS NOT NULL")
            var last: ID?
            repeat {
                let after = last
                last = try await bus.transaction { try await markAnew(after: after, in: $0) }
            } while last != nil
            try await bus.pool.query(
                "INSERT INTO book_authority (keepers) VALUES ($1::jsonb) ON CONFLICT (is_one) DO UPDATE SET keepers = excluded.keepers",
                [.text(try JSON.text(authority.keepers))])
        }
        // A loop of the service that ends would be begun again.
        while !Task.isCancelled { try await Task.sleep(for: .seconds(3600)) }
    }

    /// - Returns: the last of the page; nil when there are no more.
    private func markAnew(after last: ID?, in transaction: EventTransaction) async throws -> ID? {
        let rows = try await transaction.query(
            """
            SELECT id, base, journey_id, last_event, number, told_by, told_payments, request ->> 'organization' AS organization,
                told_documents::text AS told
            FROM order_out WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT \(Self.pageSize) FOR UPDATE
            """, [.id(last)])
        for row in rows {
            var order = try Known(row)
            try await Self.expect(
                of: authority.others(order.organization, order: order.base), order.id, in: transaction)
            for (base, documents) in Dictionary(grouping: order.documents.all, by: { $0.base ?? order.base }) {
                let marked = documents.map {
                    authority.mark($0, by: base, order.organization, order: order.base)
                }
                guard marked != documents else { continue }
                _ = order.documents.tell(marked, by: base == order.base ? nil : base, isWhole: true)
                let exchange = try await transaction.query(
                    "SELECT told_by FROM order_books WHERE order_id = $1 AND base = $2", [.id(order.id), .text(base)]
                ).first?.optionalID("told_by")
                let changed = marked.filter { !documents.contains($0) }
                for some in changed.parts(of: Self.documentsAtOnce) {
                    try await publish(
                        BooksReported(
                            orderId: order.id, number: try row.string("number"), base: base,
                            exchangeId: try exchange ?? row.optionalID("told_by") ?? .make(),
                            documents: some, by: "настройки"),
                        of: order, in: transaction)
                }
            }
        }
        return rows.count < Self.pageSize ? nil : try rows.last?.id("id")
    }

    /// Documents of one event: many of them do not fit in one.
    private static let documentsAtOnce = 100

    // MARK: what came before its order was known

    /// An order's own key becomes known: what another base has told by it is the order's.
    static func link(_ order: ID, knownAs key: String, in transaction: EventTransaction) async throws {
        guard let key = ID(key) else { return }
        try await transaction.query(
            """
            INSERT INTO told_link (base, object_id, order_id, exchange_id)
            SELECT s.base, s.object_id, $1, s.exchange_id FROM told_stranger s WHERE s.key = $2 AND s.base IN (
                SELECT base FROM order_books WHERE order_id = $1 UNION SELECT base FROM order_out WHERE id = $1)
            ON CONFLICT DO NOTHING
            """, [.id(order), .id(key)])
        try await transaction.query(
            "DELETE FROM told_stranger WHERE key = $2 AND base = (SELECT base FROM order_out WHERE id = $1)",
            [.id(order), .id(key)])
        try await transaction.query(
            """
            WITH known AS (DELETE FROM told_stranger s USING order_books b
                WHERE s.key = $2 AND b.order_id = $1 AND b.base = s.base RETURNING s.base)
            UPDATE order_books b SET ask_at = now() FROM known k
            WHERE b.order_id = $1 AND b.base = k.base AND b.ask_at IS NOT NULL
            """, [.id(order), .id(key)])
    }

    private struct Digest: Encodable {
        let documents: [ReportedDocument]
        let refused: [String]
        let revenue, cost: Money?
        let tells: Bool
    }
}
