import Hummingbird
import Messaging
import Postgres
import Primitives
import ServiceKit

/// Changes of documents of the past (ONEC-15): what was, what is, when we heard of it. Who changed it 1C does not tell.
struct LateChanges: Sendable {
    let pool: PostgresPool

    struct Change: AnswerShape {
        let orderNumber, base, kind: String
        let number, day: String?
        let words: String
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
            SELECT order_number, base, kind, number, day::text AS day, words, at, exchange_id FROM told_change
            WHERE is_late ORDER BY id DESC LIMIT $1
            """, [.int(limit)]
        ).map { row in
            Change(
                orderNumber: try row.string("order_number"), base: try row.string("base"), kind: try row.string("kind"),
                number: try row.optionalString("number"), day: try row.optionalString("day"),
                words: try row.string("words"), at: try row.time("at"), exchangeId: try row.id("exchange_id"))
        }
    }

    static func keep(
        _ changes: [DocumentChange], order number: String, _ base: String, _ exchange: ID,
        in transaction: EventTransaction
    ) {
        for change in changes {
            transaction.write(
                """
                INSERT INTO told_change (id, order_number, base, kind, onec_id, number, day, words, is_late, exchange_id)
                VALUES ($1, $2, $3, $4, $5, $6, $7::date, $8,
                    coalesce($7::date < (now() AT TIME ZONE 'UTC')::date - \(DocumentChange.lateDays), false), $9)
                """,
                [
                    .id(.make()), .text(number), .text(base), .text(change.kind), .text(change.onecId),
                    .text(change.number), .text(change.day), .text(change.words), .id(exchange),
                ])
        }
    }
}
