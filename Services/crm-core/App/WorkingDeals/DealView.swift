import Contracts
import Postgres
import Primitives
import ServiceKit

/// A deal as the API shows it.
struct DealView: AnswerShape {
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
    /// Of its orders together: `none`, `partly`, `full`, `over`, `unknown`; null while it has none.
    let payment: String?
    /// What is owed for them where that is known, each currency apart.
    let owed: [Money]
    let createdAt: Timestamp
    let version: Int64

    static let select = """
        SELECT d.id, d.number, d.journey_id, d.title, d.amount_minor, d.currency, d.pipeline, d.stage,
            d.outcome, d.organization, d.contact_id, d.company_id, d.responsible_id, s.name AS responsible,
            d.won_at, d.lost_reason, d.next_task, d.next_task_at, d.created_at, d.version,
            (SELECT coalesce(array_agg(o.id ORDER BY o.created_at), '{}')::text FROM sales_order o
             WHERE o.deal_id = d.id) AS orders,
            \(PaymentStates.ofDeal)
        FROM deal d LEFT JOIN staff s ON s.id = d.responsible_id
        """

    /// - Throws: 404 also when the caller may not see it.
    static func load(_ id: ID, for caller: Caller, in runner: some StatementRunner) async throws -> DealView {
        guard
            let row = try await runner.query(
                "\(select) WHERE d.id = $1 AND ($2::uuid IS NULL OR d.responsible_id = $2)",
                [.id(id), .id(try caller.ownerFilter())]
            ).first
        else { throw Problem.notFound("deal") }
        return try DealView(row)
    }

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
        payment = try row.optionalString("payment")
        owed = try JSON.decode([String: Int64].self, from: try row.string("owed").utf8).sorted { $0.key < $1.key }
            .compactMap { code, minor in Currency(code).map { Money(minor: minor, currency: $0) } }
        createdAt = try row.time("created_at")
        version = try row.int("version")
    }
}
