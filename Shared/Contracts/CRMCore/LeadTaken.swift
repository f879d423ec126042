import Primitives

/// A manager began to work on a lead.
public struct LeadTaken: EventContract {
    public static let type = "crm.lead.taken.v1"
    public let leadId: ID
    public let number: Int64
    public let responsibleId: ID
    public let slice: Slice
    public let by: String?

    public init(
        leadId: ID, number: Int64, responsibleId: ID, slice: Slice, by: String? = nil
    ) {
        self.leadId = leadId
        self.number = number
        self.responsibleId = responsibleId
        self.slice = slice
        self.by = by
    }
}
