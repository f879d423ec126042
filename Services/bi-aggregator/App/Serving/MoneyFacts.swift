import Hummingbird
import Postgres
import Primitives
import ServiceKit

/// Every payment and refund that stands in the report, by order, for comparing with the books.
struct MoneyFacts: Sendable {
    let pool: PostgresPool

    struct Entry: AnswerShape {
        /// base, kind, document and order: the fact's identity everywhere.
        let key, orderNumber: String
        let amount: Money
    }

    private static let order = "(substring(key FROM '[^/]+$') COLLATE \"C\")"
    private static let isMoney = "counted AND metric IN ('money.received', 'money.refunded')"

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/api/v1/money-facts") { request, context in
            try context.require("head", "accountant", "reader", "integrator")
            return try Response.json(try await page(after: request.query("after"), orders: try request.limit()))
        }
    }

    /// All facts of some orders, in the order of their numbers.
    private func page(after: String?, orders limit: Int) async throws -> Page<Entry> {
        let rows = try await pool.query(
            """
            SELECT o.number, f.key, f.amount::text AS amount, f.currency FROM (
                SELECT DISTINCT \(Self.order) AS number FROM fact
                WHERE \(Self.isMoney) AND ($1::text IS NULL OR \(Self.order) > $1) ORDER BY number LIMIT $2) AS o
            JOIN fact f ON \(Self.order) = o.number AND \(Self.isMoney)
            ORDER BY o.number, f.key
            """, [.text(after), .int(limit)])
        let numbers = try rows.map { try $0.string("number") }
        let entries = try rows.compactMap { row -> Entry? in
            // Amounts have more places than a currency here: `30.0000`.
            guard let currency = try row.optionalString("currency").flatMap({ Currency($0) }),
                let amount = Money(try row.string("amount"), currency)
            else { return nil }
            return Entry(key: try row.string("key"), orderNumber: try row.string("number"), amount: amount)
        }
        return Page(items: entries, next: Set(numbers).count == limit ? numbers.last : nil)
    }
}
