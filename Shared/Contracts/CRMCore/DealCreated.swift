import Primitives

/// A sale is being worked.
public struct DealCreated: EventContract {
    public static let type = "crm.deal.created.v1"
    public let dealId: ID
    public let number: Int64
    public let journeyId: ID?
    public let title: String
    public let amount: Money?
    public let responsibleId: ID?
    public let slice: Slice
    public let by: String?

    public init(
        dealId: ID, number: Int64, journeyId: ID? = nil, title: String, amount: Money? = nil,
        responsibleId: ID? = nil, slice: Slice, by: String? = nil
    ) {
        self.dealId = dealId
        self.number = number
        self.journeyId = journeyId
        self.title = title
        self.amount = amount
        self.responsibleId = responsibleId
        self.slice = slice
        self.by = by
    }
}
