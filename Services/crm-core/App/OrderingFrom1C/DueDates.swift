import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit

/// Says of an order whose day of payment has passed that it has changed: time passes without an event of 1C's.
enum DueDates {
    private static let pause = 10.0
    /// Orders of one transaction at most; the rest follow.
    private static let limit = 100

    static func watch(_ bus: EventBus) async throws {
        while !Task.isCancelled {
            if bus.missing == nil { try await bus.transaction { try await tellOverdue(in: $0) } }
            try await Task.sleep(for: .seconds(pause))
        }
    }

    private static func tellOverdue(in transaction: EventTransaction) async throws {
        let passed = try await transaction.query(
            """
            UPDATE sales_order SET overdue_told = true WHERE id IN (
                SELECT id FROM sales_order WHERE NOT overdue_told AND due_date < $1::date
                ORDER BY due_date LIMIT \(limit) FOR UPDATE SKIP LOCKED)
            RETURNING id, deal_id, journey_id, last_event
            """, [.text(LocalTime.day(.now()))])
        for row in passed {
            guard let order = try await OrderView.load(try row.id("id"), in: transaction) else { continue }
            var deal: Deal?
            if let id = try row.optionalID("deal_id") {
                deal = try await Deal.find(id, in: transaction, lock: false)
            }
            try await Invoices.keepStep(of: order, by: .clock, in: transaction)
            try transaction.emit(
                order.changed(deal, by: .clock), key: order.id.description,
                correlation: try row.optionalID("journey_id"),
                causation: try row.optionalID("last_event"))
        }
    }
}
