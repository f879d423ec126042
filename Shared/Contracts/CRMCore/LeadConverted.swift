import Primitives

/// A lead became a deal.
public struct LeadConverted: EventContract {
    public static let type = "crm.lead.converted.v1"
    public let leadId: ID
    public let number: Int64
    public let dealId: ID
    public let slice: Slice
    public let by: String?

    public init(
        leadId: ID, number: Int64, dealId: ID, slice: Slice, by: String? = nil
    ) {
        self.leadId = leadId
        self.number = number
        self.dealId = dealId
        self.slice = slice
        self.by = by
    }
}
