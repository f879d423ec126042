import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit

/// Marks of departments on an order: «исполнено» as 1C's people set it (EX-3d). An order for signing is done when every department that has
/// to has set its own.
struct OrderFlags: Sendable {
    let settings: SuiteSettings

    /// Keeps what 1C tells and says what has changed. Whether the marks close the order; nil when it is none that they close.
    func keep(
        _ flags: [ReportedFlag], of order: Row, _ report: OrderReported, _ event: ReceivedEvent,
        in transaction: EventTransaction
    ) async throws -> Bool? {
        for flag in flags {
            let kept = try await transaction.query(
                """
                INSERT INTO order_flag AS f (order_id, department, done, by_whom, at) VALUES ($1, $2, $3, $4, $5)
                ON CONFLICT (order_id, department) DO UPDATE SET done = excluded.done, by_whom = excluded.by_whom,
                    at = excluded.at WHERE f.done <> excluded.done
                RETURNING f.xmax = 0 AS is_new
                """,
                [
                    .id(report.orderId), .text(flag.department), .bool(flag.done), .text(flag.by),
                    .time(flag.at ?? event.at),
                ])
            // A mark that was never set has not been taken off.
            guard let row = kept.first, try flag.done || !row.bool("is_new") else { continue }
            try transaction.emit(
                OrderFlagged(
                    orderId: report.orderId, number: report.number, dealId: try order.optionalID("deal_id"),
                    department: flag.department, done: flag.done, by: flag.by ?? "1С \(report.base)"),
                key: report.orderId.description, answering: event)
        }
        guard try order.string("kind") == "signing" else { return nil }
        let known = try await transaction.query(
            "SELECT department, done FROM order_flag WHERE order_id = $1", [.id(report.orderId)])
        let done = Set(try known.filter { try $0.bool("done") }.map { try $0.string("department") })
        let wanted = Set(settings.departments(report.base)).union(try known.map { try $0.string("department") })
        return wanted.isEmpty ? nil : wanted.isSubset(of: done)
    }
}
