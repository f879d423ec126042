import Contracts
import Postgres
import Primitives

struct TaskView: Encodable, Sendable {
    let text: String
    let dueAt: Timestamp?

    init?(_ row: Row) throws {
        guard let text = try row.optionalString("next_task") else { return nil }
        self.text = text
        dueAt = try row.optionalTime("next_task_at")
    }
}

struct LeadView: Encodable, Sendable {
    struct Touches: Encodable, Sendable { let first, last: Attribution? }
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

struct DealView: Encodable, Sendable {
    let id: ID
    let number: Int64
    let journeyId: ID?
    let title: String
    let amount: Money?
    let pipeline, stage, outcome, organization: String
    let contactId, companyId, responsibleId: ID?
    let responsible: String?
    let wonAt: Timestamp?
    let lostReason: String?
    let nextTask: TaskView?
    let orderIds: [String]
    let createdAt: Timestamp
    let version: Int64

    static let select = """
        SELECT d.id, d.number, d.journey_id, d.title, d.amount_minor, d.currency, d.pipeline, d.stage,
            d.outcome, d.organization, d.contact_id, d.company_id, d.responsible_id, s.name AS responsible,
            d.won_at, d.lost_reason, d.next_task, d.next_task_at, d.created_at, d.version,
            (SELECT coalesce(array_agg(o.id ORDER BY o.created_at), '{}')::text FROM sales_order o
             WHERE o.deal_id = d.id) AS orders
        FROM deal d LEFT JOIN staff s ON s.id = d.responsible_id
        """

    init(_ row: Row) throws {
        id = try row.id("id")
        number = try row.int("number")
        journeyId = try row.optionalID("journey_id")
        title = try row.string("title")
        amount = try row.money("amount_minor")
        pipeline = try row.string("pipeline")
        stage = try row.string("stage")
        outcome = try row.string("outcome")
        organization = try row.string("organization")
        contactId = try row.optionalID("contact_id")
        companyId = try row.optionalID("company_id")
        responsibleId = try row.optionalID("responsible_id")
        responsible = try row.optionalString("responsible")
        wonAt = try row.optionalTime("won_at")
        lostReason = try row.optionalString("lost_reason")
        nextTask = try TaskView(row)
        orderIds = try row.list("orders")
        createdAt = try row.time("created_at")
        version = try row.int("version")
    }
}

struct ContactView: Encodable, Sendable {
    let id: ID
    let number: Int64
    let name, phone: String?
    let phoneConfirmed: Bool
    let email, role: String?
    let companyId, mergedInto: ID?
    let createdAt: Timestamp
    let version: Int64

    static let select = """
        SELECT id, number, name, phone, phone_confirmed, email, role, company_id, merged_into, created_at,
            version FROM contact
        """

    init(_ row: Row) throws {
        id = try row.id("id")
        number = try row.int("number")
        name = try row.optionalString("name")
        phone = try row.optionalString("phone")
        phoneConfirmed = try row.bool("phone_confirmed")
        email = try row.optionalString("email")
        role = try row.optionalString("role")
        companyId = try row.optionalID("company_id")
        mergedInto = try row.optionalID("merged_into")
        createdAt = try row.time("created_at")
        version = try row.int("version")
    }
}

struct CompanyView: Encodable, Sendable {
    let id: ID
    let number: Int64
    let name: String
    let inn, kpp, address: String?
    let createdAt: Timestamp
    let version: Int64

    static let select = "SELECT id, number, name, inn, kpp, address, created_at, version FROM company"

    init(_ row: Row) throws {
        id = try row.id("id")
        number = try row.int("number")
        name = try row.string("name")
        inn = try row.optionalString("inn")
        kpp = try row.optionalString("kpp")
        address = try row.optionalString("address")
        createdAt = try row.time("created_at")
        version = try row.int("version")
    }
}
