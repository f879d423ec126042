import Contracts
import Messaging
import Postgres
import Primitives

/// A lead's row, locked for this transaction.
struct Lead: Sendable {
    let id: ID
    let number: Int64
    let journeyID: ID
    let contactID: ID
    let companyID: ID?
    let conversationID: ID
    let status: String
    let responsibleID: ID?
    let responsible: String?
    let channel: String
    let campaign: String?
    let name, phone, email, text: String?
    let isReady, isComplete: Bool
    var lastEvent: ID?

    static func find(
        id: ID? = nil, journey: ID? = nil, in runner: some StatementRunner, lock: Bool = true
    ) async throws -> Lead? {
        try await runner.query(
            """
            SELECT l.id, l.number, l.journey_id, l.contact_id, l.company_id, l.conversation_id, l.status,
                l.responsible_id, s.name AS responsible, l.channel, l.campaign, l.name, l.phone, l.email, l.text,
                l.is_ready, l.is_complete, l.last_event
            FROM lead l LEFT JOIN staff s ON s.id = l.responsible_id
            WHERE l.id = $1 OR l.journey_id = $2 \(lock ? "FOR UPDATE OF l" : "")
            """, [.id(id), .id(journey)]
        ).first.map { row in
            Lead(
                id: try row.id("id"), number: try row.int("number"),
                journeyID: try row.id("journey_id"), contactID: try row.id("contact_id"),
                companyID: try row.optionalID("company_id"),
                conversationID: try row.id("conversation_id"), status: try row.string("status"),
                responsibleID: try row.optionalID("responsible_id"),
                responsible: try row.optionalString("responsible"),
                channel: try row.string("channel"), campaign: try row.optionalString("campaign"),
                name: try row.optionalString("name"), phone: try row.optionalString("phone"),
                email: try row.optionalString("email"),
                text: try row.optionalString("text"), isReady: try row.bool("is_ready"),
                isComplete: try row.bool("is_complete"),
                lastEvent: try row.optionalID("last_event"))
        }
    }

    var slice: Slice {
        Slice(
            channel: channel, campaign: campaign, managerId: responsibleID, manager: responsible)
    }

    /// That the lead holds all that the talk will give.
    func ready() -> LeadReady {
        LeadReady(
            leadId: id, number: number, journeyId: journeyID, responsibleId: responsibleID, name: name, phone: phone,
            text: text, complete: isComplete, slice: slice)
    }

    /// Says something of this lead, in answer to `cause` or to what was said of it last.
    mutating func emit(
        _ data: some EventContract, cause: ID? = nil, notBefore: Timestamp? = nil,
        in transaction: EventTransaction
    ) throws {
        let event = try transaction.emit(
            data, key: id.description, correlation: journeyID, causation: cause ?? lastEvent,
            notBefore: notBefore)
        lastEvent = event
        transaction.write(
            "UPDATE lead SET last_event = $2 WHERE id = $1", [.id(id), .id(event)])
    }
}
