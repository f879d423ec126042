import Primitives

/// A lead holds all that the talk will give: time for its responsible to act.
public struct LeadReady: EventContract {
    public static let type = "crm.lead.ready.v1"
    public let leadId: ID
    public let number: Int64
    public let journeyId: ID
    public let responsibleId: ID?
    public let name: String?
    public let phone: String?
    public let text: String?
    public let complete: Bool
    public let slice: Slice

    public init(
        leadId: ID, number: Int64, journeyId: ID, responsibleId: ID? = nil, name: String? = nil,
        phone: String? = nil, text: String? = nil, complete: Bool, slice: Slice
    ) {
        self.leadId = leadId
        self.number = number
        self.journeyId = journeyId
        self.responsibleId = responsibleId
        self.name = name
        self.phone = phone
        self.text = text
        self.complete = complete
        self.slice = slice
    }
}
