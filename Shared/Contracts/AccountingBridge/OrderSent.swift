import Primitives

/// 1C has taken the order and said so. Taken means stored there, not posted.
public struct OrderSent: EventContract {
    public static let type = "onec.order.sent.v1"
    public let orderId: ID
    public let number: String
    public let base: String
    public let exchangeId: ID
    public let by: String?

    public init(
        orderId: ID, number: String, base: String, exchangeId: ID, by: String? = nil
    ) {
        self.orderId = orderId
        self.number = number
        self.base = base
        self.exchangeId = exchangeId
        self.by = by
    }
}
