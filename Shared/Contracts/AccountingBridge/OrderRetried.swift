import Primitives

/// An order that had been refused waits for 1C again.
public struct OrderRetried: EventContract {
    public static let type = "onec.order.retried.v1"
    public let orderId: ID
    public let number: String
    public let base: String
    public let by: String?

    public init(orderId: ID, number: String, base: String, by: String? = nil) {
        self.orderId = orderId
        self.number = number
        self.base = base
        self.by = by
    }
}
