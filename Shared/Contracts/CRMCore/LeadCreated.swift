import Primitives

/// A request is a lead from its first message on, so that none is lost.
public struct LeadCreated: EventContract {
    public static let type = "crm.lead.created.v1"
    public let leadId: ID
    public let number: Int64
    public let journeyId: ID
    public let name: String?
    public let slice: Slice

    public init(
        leadId: ID, number: Int64, journeyId: ID, name: String? = nil, slice: Slice
    ) {
        self.leadId = leadId
        self.number = number
        self.journeyId = journeyId
        self.name = name
        self.slice = slice
    }
}
