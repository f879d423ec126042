import Primitives

/// The client will not buy, and why.
public struct DealLost: EventContract {
    public static let type = "crm.deal.lost.v1"
    public let dealId: ID
    public let number: Int64
    public let reason: String?
    public let slice: Slice
    public let by: String?

    public init(
        dealId: ID, number: Int64, reason: String? = nil, slice: Slice, by: String? = nil
    ) {
        self.dealId = dealId
        self.number = number
        self.reason = reason
        self.slice = slice
        self.by = by
    }
}
