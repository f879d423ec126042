import Primitives

/// A person has said which deal an order that was made in 1C belongs to, or that it belongs to none.
public struct OrderLinked: EventContract {
    public static let type = "crm.order.linked.v1"
    public let orderId: ID
    public let number: String
    /// Nil: to none.
    public let dealId: ID?
    /// The line that it stands in from now on.
    public let journeyId: ID?
    /// Whose its money is from now on.
    public let slice: Slice
    public let by: String?

    public init(orderId: ID, number: String, dealId: ID? = nil, journeyId: ID? = nil, slice: Slice, by: String? = nil) {
        self.orderId = orderId
        self.number = number
        self.dealId = dealId
        self.journeyId = journeyId
        self.slice = slice
        self.by = by
    }
}
