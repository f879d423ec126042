import Contracts
import Messaging
import Postgres
import Primitives

/// When a journey is over: its won deal has nothing more to wait for, of money or goods.
enum JourneyEnd {
    static let settled = "оплачено и отгружено"

    /// Closes the deal's journey when all its orders are settled. True when this closed it: the caller says so.
    static func closesSettled(_ deal: ID, _ journey: ID, in transaction: EventTransaction) async throws -> Bool {
        let orders = try await OrderView.load(deal: deal, in: transaction)
            .filter { !["cancelled", "failed"].contains($0.status) }
        guard !orders.isEmpty, orders.allSatisfy(\.isSettled) else { return false }
        return try await transaction.query(
            "UPDATE journey SET closed_at = now() WHERE id = $1 AND closed_at IS NULL", [.id(journey)]
        ).affected == 1
    }
}
