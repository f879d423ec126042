import Hummingbird
import Messaging
import Postgres
import Primitives
import ServiceKit

/// Changes of documents of the past (ONEC-15): what was, what is, when we heard of it, and who made them, where the base tells that.
struct LateChanges: Sendable {
    let pool: PostgresPool

    struct Change: AnswerShape {
        let orderNumber, base, kind: String
        let number, day: String?
        let words: String
        /// Who wrote it in 1C, and when by 1C's own clock.
        let by, byAt: String?
        /// Why that is not known, in words.
        let byUnknown: String?
        let at: Timestamp
        let exchangeId: ID
    }

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/api/v1/late-changes") { request, context in
            try context.require("head", "accountant", "integrator", "reader")
            return try Response.json(Page(items: try await list(limit: try request.limit()), next: nil))
        }
    }

    /// The newest first.
    func list(limit: Int) async throws -> [Change] {
        try await pool.query(
            """
            SELECT order_number, base, kind, number, day::text AS day, words, at, exchange_id, \(ChangeAuthors.columns)
            FROM told_change WHERE is_late ORDER BY id DESC LIMIT $1
            """, [.int(limit)]
        ).map { row in
            let author = try ChangeAuthor(row)
            return Change(
                orderNumber: try row.string("order_number"), base: try row.string("base"), kind: try row.string("kind"),
                number: try row.optionalString("number"), day: try row.optionalString("day"),
                words: try row.string("words"), by: author.name, byAt: author.at, byUnknown: author.unknown,
                at: try row.time("at"), exchangeId: try row.id("exchange_id"))
        }
    }

    /// - Parameter since: the exchange in which the state before was told.
    static func keep(
        _ changes: [DocumentChange], order number: String, _ base: String, _ exchange: ID, since: ID?,
        in transaction: EventTransaction
    ) {
        for change in changes {
            transaction.write(
                """
                INSERT INTO told_change (id, order_number, base, kind, onec_id, number, day, words, is_late, exchange_id, since)
                VALUES ($1, $2, $3, $4, $5, $6, $7::date, $8,
                    coalesce($7::date < (now() AT TIME ZONE 'UTC')::date - \(DocumentChange.lateDays), false), $9,
                    (SELECT at FROM exchange WHERE id = $10))
                """,
                [
                    .id(.make()), .text(number), .text(base), .text(change.kind), .text(change.onecId),
                    .text(change.number), .text(change.day), .text(change.words), .id(exchange), .id(since),
                ])
        }
    }
}
