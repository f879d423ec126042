import Hummingbird
import Postgres
import Primitives
import ServiceKit

/// Every payment, refund, shipment and return of our orders as the books and the bank tell them, for comparing with what others have counted.
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
            return try Response.json(try await page(after: request.query("after"), orders: try request.limit()))
        }
    }

    /// All entries of some orders, in the order of their numbers: whoever compares needs no more than one page at a time.
    private func page(after: String?, orders limit: Int) async throws -> Page<Entry> {
        let rows = try await pool.query(
            """
            SELECT o.number, t.* FROM (
                SELECT * FROM order_out o WHERE ($1::text IS NULL OR number COLLATE "C" > $1) AND (told_documents <> '[]'
                    OR EXISTS (SELECT 1 FROM bank_allocation a WHERE a.order_id = o.id))
                ORDER BY number COLLATE "C" LIMIT $2) AS o
            LEFT JOIN LATERAL (
                SELECT coalesce(d->>'base', o.base) AS base, d->>'kind' AS kind, d->>'onecId' AS id, d->'amount'->>'amount' AS amount,
                    NULL::bigint AS minor, d->'amount'->>'currency' AS currency,
                    (d->>'posted')::boolean AND NOT (d->>'cancelled')::boolean AS stands, coalesce((d->>'counts')::boolean, true) AS is_kept
                FROM jsonb_array_elements(o.told_documents) AS d WHERE d->>'kind' IN ('payment', 'refund', 'shipment', 'return') AND d ? 'amount'
                UNION ALL
                SELECT '\(SuiteSettings.bankBooks)', CASE p.direction WHEN 'in' THEN 'payment' ELSE 'refund' END, p.id::text, NULL,
                    a.amount_minor, p.currency, true, NOT o.told_payments
                FROM bank_allocation a JOIN bank_payment p ON p.id = a.payment_id WHERE a.order_id = o.id
            ) AS t ON true
            ORDER BY o.number COLLATE "C", t.base, t.kind, t.id
            """, [.text(after), .int(limit)])
        let numbers = try rows.map { try $0.string("number") }
        let entries = try rows.compactMap { row -> Entry? in
            guard let base = try row.optionalString("base"), let currency = Currency(try row.string("currency")),
                let amount = try row.optionalInt("minor").map({ Money(minor: $0, currency: currency) })
                    ?? row.optionalString("amount").flatMap({ Money($0, currency) })
            else { return nil }
            let (number, kind) = (try row.string("number"), try row.string("kind"))
            return Entry(
                key: "\(base)/\(kind)/\(try row.string("id"))/\(number)", orderNumber: number, base: base, kind: kind,
                amount: amount, counted: try row.bool("stands") && row.bool("is_kept"), stands: try row.bool("stands"))
        }
        return Page(items: entries, next: Set(numbers).count == limit ? numbers.last : nil)
    }
}
