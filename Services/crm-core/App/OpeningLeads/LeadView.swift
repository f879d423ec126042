import Contracts
import Postgres
import Primitives
import ServiceKit

/// The next thing to do, with its time.
struct TaskView: AnswerShape {
    let text: String
    let dueAt: Timestamp?

    init?(_ row: Row) throws {
        guard let text = try row.optionalString("next_task") else { return nil }
        self.text = text
        dueAt = try row.optionalTime("next_task_at")
    }
}

/// A lead as the API shows it.
struct LeadView: AnswerShape {
    struct Touches: AnswerShape { let first, last: Attribution? }
    let id: ID
    let number: Int64
    let journeyId, conversationId: ID
    let name, phone: String?
    let phoneConfirmed: Bool
    let email: String?
    let answers: [String: String]
    let channel: String
    let attribution: Touches
    let text, externalOrderNumber: String?
    let status: String
    let complete: Bool
    let rejectReason: String?
    let dealId, responsibleId: ID?
    let responsible: String?
    let contactId: ID
    let companyId: ID?
    let nextTask: TaskView?
    let createdAt: Timestamp
    let version: Int64

    static let select = """
        SELECT l.id, l.number, l.journey_id, l.conversation_id, l.name, l.phone, l.phone_confirmed, l.email,
            l.answers::text AS answers, l.channel, l.first_touch::text AS first_touch,
            l.last_touch::text AS last_touch, l.text, l.external_order_number, l.status, l.is_complete,
            l.reject_reason, l.deal_id, l.responsible_id, s.name AS responsible, l.contact_id, l.company_id,
            l.next_task, l.next_task_at, l.created_at, l.version
        FROM lead l LEFT JOIN staff s ON s.id = l.responsible_id
        """

    /// - Throws: 404 also when the caller may not see it.
    static func load(_ id: ID, for caller: Caller, in runner: some StatementRunner) async throws -> LeadView {
        guard
            let row = try await runner.query(
                """
                \(select) WHERE l.id = $1
                    AND ($2::uuid IS NULL OR l.responsible_id = $2 OR l.responsible_id IS NULL)
                """, [.id(id), .id(try caller.ownerFilter())]
            ).first
        else { throw Problem.notFound("lead") }
        return try LeadView(row)
    }

    init(_ row: Row) throws {
        func touch(_ column: String) throws -> Attribution? {
            try row.optionalString(column).flatMap { try JSON.decode(Attribution.self, from: $0.utf8) }
        }
        id = try row.id("id")
        number = try row.int("number")
        journeyId = try row.id("journey_id")
        conversationId = try row.id("conversation_id")
        name = try row.optionalString("name")
        phone = try row.optionalString("phone")
        phoneConfirmed = try row.bool("phone_confirmed")
        email = try row.optionalString("email")
        answers = try JSON.decode([String: String].self, from: try row.string("answers").utf8)
        channel = try row.string("channel")
        attribution = Touches(first: try touch("first_touch"), last: try touch("last_touch"))
        text = try row.optionalString("text")
        externalOrderNumber = try row.optionalString("external_order_number")
        status = try row.string("status")
        complete = try row.bool("is_complete")
        rejectReason = try row.optionalString("reject_reason")
        dealId = try row.optionalID("deal_id")
        responsibleId = try row.optionalID("responsible_id")
        responsible = try row.optionalString("responsible")
        contactId = try row.id("contact_id")
        companyId = try row.optionalID("company_id")
        nextTask = try TaskView(row)
        createdAt = try row.time("created_at")
        version = try row.int("version")
    }
}
