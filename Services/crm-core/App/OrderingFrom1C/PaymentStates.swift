import Messaging
import Postgres
import Primitives

/// How each order is paid, kept beside it as its documents have it: a deal's own state is made of these (PAY-05).
enum PaymentStates {
    /// The state of a deal `d` as its orders have it, what was cancelled or refused aside: null while there is none, `unknown` when one is; and what is
    /// owed for them, each currency apart.
    static let ofDeal = """
        (SELECT CASE WHEN count(*) = 0 THEN NULL WHEN bool_or(coalesce(o.payment, 'unknown') = 'unknown') THEN 'unknown'
            WHEN bool_and(o.payment = 'none') THEN 'none'
            WHEN bool_and(o.payment IN ('full', 'over')) THEN CASE WHEN bool_or(o.payment = 'over') THEN 'over' ELSE 'full' END
            ELSE 'partly' END
         FROM sales_order o WHERE o.deal_id = d.id AND \(counts)) AS payment,
        (SELECT coalesce(jsonb_object_agg(s.currency, s.owed), '{}')::text FROM (
            SELECT o.currency, sum(o.owed_minor)::bigint AS owed FROM sales_order o
            WHERE o.deal_id = d.id AND o.owed_minor > 0 AND \(counts) GROUP BY o.currency) AS s) AS owed
        """
    private static let counts = "o.status NOT IN ('cancelled', 'failed')"

    static func keep(of order: OrderView, in transaction: EventTransaction) async throws {
        try await transaction.query(
            """
            UPDATE sales_order SET payment = $2, owed_minor = $3
            WHERE id = $1 AND (payment, owed_minor) IS DISTINCT FROM ($2, $3)
            """, [.id(order.id), .text(order.payment), .int(order.owed?.minor)])
    }

    /// Orders of one round at most.
    private static let roundLimit = 200
    /// Seconds until it is looked once more whether there are any.
    private static let pause = 3600.0

    /// Orders that are older than this keeping get their state.
    static func begin(_ bus: EventBus) async throws {
        while !Task.isCancelled {
            var count = 0
            if bus.missing == nil {
                count = try await bus.transaction { transaction in
                    let rows = try await transaction.query(
                        """
                        SELECT id FROM sales_order WHERE payment IS NULL ORDER BY id LIMIT \(roundLimit) FOR UPDATE SKIP LOCKED
                        """)
                    for order in try await OrderView.load(ids: try rows.map { try $0.id("id") }, in: transaction) {
                        try await keep(of: order, in: transaction)
                    }
                    return rows.count
                }
            }
            guard count < roundLimit else { continue }
            // Those that somebody held just now are looked at again at once.
            let isLeft = try await !bus.pool.query("SELECT 1 AS one FROM sales_order WHERE payment IS NULL LIMIT 1")
                .isEmpty
            try await Task.sleep(for: .seconds(bus.missing == nil && !isLeft ? pause : 1))
        }
    }
}
