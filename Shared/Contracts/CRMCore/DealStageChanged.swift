import Primitives

/// A deal moved; reopening a closed one is such a move with `reopened`.
public struct DealStageChanged: EventContract {
    public static let type = "crm.deal.stage_changed.v1"
    public let dealId: ID
    public let number: Int64
    public let from: String
    public let to: String
    public let reopened: Bool
    public let amount: Money?
    public let slice: Slice
    public let by: String?

    public init(
        dealId: ID, number: Int64, from: String, to: String, reopened: Bool,
        amount: Money? = nil, slice: Slice, by: String? = nil
    ) {
        self.dealId = dealId
        self.number = number
        self.from = from
        self.to = to
        self.reopened = reopened
        self.amount = amount
        self.slice = slice
        self.by = by
    }
}
