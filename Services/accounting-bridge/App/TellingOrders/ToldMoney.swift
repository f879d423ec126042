import Hummingbird
import Postgres
import Primitives
import ServiceKit

/// Every payment and refund of our orders as the books and the bank tell them, for comparing with what others have counted.
struct ToldMoney: Sendable {
    let pool: PostgresPool

    struct Entry: AnswerShape {
        /// base, kind, document and order: the fact's identity everywhere.
        let key: String
        let orderNumber, base, kind: String
        let amount: Money
        let counted: Bool
        /// It stands in those books, whether it counts or another base is authoritative for it.
        let stands: Bool
    }

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/api/v1/told-money") { request, context in
            try context.require("head", "accountant", "integrator", "reader")
            let limit = try request.limit()
            let items = try await list(after: request.query("after"), limit: limit + 1)
            return try Response.json(
                Page(items: Array(items.prefix(limit)), next: items.count > limit ? items[limit - 1].key : nil))
        }
    }

    private func list(after: String?, limit: Int) async throws -> [Entry] {
        try await pool.query(
            """
            SELECT * FROM (
                SELECT b.base || '/' || (d->>'kind') || '/' || (d->>'onecId') || '/' || o.number AS key, o.number, b.base,
                    d->>'kind' AS kind, d->'amount'->>'amount' AS amount, NULL::bigint AS minor, d->'amount'->>'currency' AS currency,
                    (d->>'posted')::boolean AND NOT (d->>'cancelled')::boolean AS stands, coalesce((d->>'counts')::boolean, true) AS is_kept
                FROM order_out o, jsonb_array_elements(o.told_documents) AS d
                    CROSS JOIN LATERAL (SELECT coalesce(d->>'base', o.base) AS base) AS b
                WHERE d->>'kind' IN ('payment', 'refund') AND d ? 'amount'
                UNION ALL
                SELECT '\(SuiteSettings.bankBooks)/' || k.kind || '/' || p.id || '/' || o.number, o.number,
                    '\(SuiteSettings.bankBooks)', k.kind, NULL, a.amount_minor, p.currency,
                    true, NOT o.told_payments
                FROM bank_allocation a JOIN bank_payment p ON p.id = a.payment_id JOIN order_out o ON o.id = a.order_id
                    CROSS JOIN LATERAL (SELECT CASE p.direction WHEN 'in' THEN 'payment' ELSE 'refund' END AS kind) AS k
            ) AS told
            WHERE $1::text IS NULL OR key COLLATE "C" > $1 ORDER BY key COLLATE "C" LIMIT $2
            """, [.text(after), .int(limit)]
        ).compactMap { row in
            guard let currency = Currency(try row.string("currency")),
                let amount = try row.optionalInt("minor").map({ Money(minor: $0, currency: currency) })
                    ?? row.optionalString("amount").flatMap({ Money($0, currency) })
            else { return nil }
            return Entry(
                key: try row.string("key"), orderNumber: try row.string("number"), base: try row.string("base"),
                kind: try row.string("kind"), amount: amount, counted: try row.bool("stands") && row.bool("is_kept"),
                stands: try row.bool("stands"))
        }
    }
}
