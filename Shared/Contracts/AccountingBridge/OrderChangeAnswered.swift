import Primitives

/// What became of a change that was asked for an order.
public struct OrderChangeAnswered: EventContract {
    public static let type = "onec.order.change_answered.v1"
    public let changeId: ID
    public let orderId: ID
    public let number: String
    public let base: String
    /// Done; otherwise `reason` says why not.
    public let taken: Bool
    public let reason: String?
    public let by: String?

    public init(
        changeId: ID, orderId: ID, number: String, base: String, taken: Bool, reason: String? = nil, by: String? = nil
    ) {
        self.changeId = changeId
        self.orderId = orderId
        self.number = number
        self.base = base
        self.taken = taken
        self.reason = reason
        self.by = by
    }
}
