import Primitives

/// A department has set its mark on an order in 1C, or taken it off.
public struct OrderFlagged: EventContract {
    public static let type = "crm.order.flagged.v1"
    public let orderId: ID
    public let number: String
    public let dealId: ID?
    public let department: String
    public let done: Bool
    public let by: String?

    public init(orderId: ID, number: String, dealId: ID? = nil, department: String, done: Bool, by: String? = nil) {
        self.orderId = orderId
        self.number = number
        self.dealId = dealId
        self.department = department
        self.done = done
        self.by = by
    }
}
