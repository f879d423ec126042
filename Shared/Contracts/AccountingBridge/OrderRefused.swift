import Primitives

/// The order cannot be given to 1C, and why.
public struct OrderRefused: EventContract {
    public static let type = "onec.order.refused.v1"
    public let orderId: ID
    public let number: String
    public let base: String
    public let reason: String
    public let by: String?

    public init(
        orderId: ID, number: String, base: String, reason: String, by: String? = nil
    ) {
        self.orderId = orderId
        self.number = number
        self.base = base
        self.reason = reason
        self.by = by
    }
}
