import Primitives

/// Agreed with the client; money is another matter.
public struct DealWon: EventContract {
    public static let type = "crm.deal.won.v1"
    public let dealId: ID
    public let number: Int64
    public let amount: Money?
    public let slice: Slice
    public let by: String?

    public init(
        dealId: ID, number: Int64, amount: Money? = nil, slice: Slice, by: String? = nil
    ) {
        self.dealId = dealId
        self.number = number
        self.amount = amount
        self.slice = slice
        self.by = by
    }
}
