import Postgres
import Primitives
import ServiceKit

/// The disputes that departments have about one sale (TL-06), as reports that are ready: each row names the documents it is about.
struct Disputes: Sendable {
    let pool: PostgresPool

    struct Row: AnswerShape {
        let dealId: ID
        let dealNumber: Int64
        let title: String
        let responsible: String?
        let orderNumber: String?
        let amount, paid: Money?
        let since: Timestamp?
        /// What is wrong and what to do, in Russian.
        let words: String
    }

    /// Rows of one report at most.
    private static let limit = 200

    /// «Выиграно в CRM, денег в отчёте нет».
    func wonUnpaid() async throws -> [Row] {
        try await pool.query(
            """
            SELECT d.id, d.number, d.title, d.amount_minor, d.currency, d.won_at AS since, s.name AS responsible,
                (SELECT min(o.number) FROM sales_order o WHERE o.deal_id = d.id) AS order_number
            FROM deal d LEFT JOIN staff s ON s.id = d.responsible_id
            WHERE d.outcome = 'won'
                AND NOT EXISTS (SELECT 1 FROM sales_order o JOIN document c ON c.order_id = o.id
                    WHERE o.deal_id = d.id AND c.kind = 'payment' AND \(OrderDocuments.counts))
                AND NOT EXISTS (SELECT 1 FROM sales_order o WHERE o.deal_id = d.id AND o.paid_flag)
            ORDER BY d.won_at LIMIT \(Self.limit)
            """
        ).map { row in
            let order = try row.optionalString("order_number")
            return Row(
                dealId: try row.id("id"), dealNumber: try row.int("number"), title: try row.string("title"),
                responsible: try row.optionalString("responsible"), orderNumber: order,
                amount: try row.money("amount_minor"), paid: nil, since: try row.optionalTime("since"),
                words: order == nil
                    ? "По выигранной сделке нет ни одного заказа: денег ждать неоткуда."
                    : "Сделка выиграна, а оплат по её заказам нет: ни в 1С, ни в выписках.")
        }
    }

    /// «Оплачено частично, статус не изменился»: money has come, and the deal stands where it stood before.
    func partlyUnchanged() async throws -> [Row] {
        try await pool.query(
            """
            SELECT d.id, d.number, d.title, s.name AS responsible, o.number AS order_number, o.currency,
                coalesce(o.total_minor, o.asked_minor) AS amount_minor, m.paid_minor, m.since
            FROM sales_order o JOIN deal d ON d.id = o.deal_id LEFT JOIN staff s ON s.id = d.responsible_id
                JOIN LATERAL (
                    SELECT sum(CASE c.kind WHEN 'payment' THEN c.amount_minor ELSE -c.amount_minor END) AS paid_minor,
                        max(c.as_of) AS since
                    FROM document c WHERE c.order_id = o.id AND c.kind IN ('payment', 'refund') AND \(OrderDocuments.counts)
                ) AS m ON m.paid_minor > 0 AND m.paid_minor < coalesce(o.total_minor, o.asked_minor)
            WHERE d.outcome = 'open' AND d.stage IN ('new', 'qualified', 'proposal')
                AND o.status NOT IN ('cancelled', 'failed')
            ORDER BY m.since LIMIT \(Self.limit)
            """
        ).map { row in
            Row(
                dealId: try row.id("id"), dealNumber: try row.int("number"), title: try row.string("title"),
                responsible: try row.optionalString("responsible"), orderNumber: try row.string("order_number"),
                amount: try row.money("amount_minor"), paid: try row.money("paid_minor"),
                since: try row.optionalTime("since"),
                words: "Заказ оплачен частично, а сделка стоит на прежней стадии: переведите её дальше.")
        }
    }
}
