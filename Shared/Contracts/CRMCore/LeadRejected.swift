import Primitives

/// A lead will not be sold to, and why.
public struct LeadRejected: EventContract {
    public static let type = "crm.lead.rejected.v1"
    public let leadId: ID
    public let number: Int64
    public let reason: String
    public let slice: Slice
    public let by: String?

    public init(
        leadId: ID, number: Int64, reason: String, slice: Slice, by: String? = nil
    ) {
        self.leadId = leadId
        self.number = number
        self.reason = reason
        self.slice = slice
        self.by = by
    }
}
