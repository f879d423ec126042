import Contracts
import Messaging
import Postgres
import Primitives

/// A deal's row, locked for this transaction.
struct Deal: Sendable {
    let id: ID
    let number: Int64
    let journeyID: ID?
    let title: String
    let amount: Money?
    let stage, outcome, organization: String
    let contactID, companyID, responsibleID: ID?
    let responsible, channel, campaign: String?
    let version: Int64
    var lastEvent: ID?

    static func find(
        _ id: ID, in runner: some StatementRunner, lock: Bool = true
    ) async throws -> Deal? {
        try await runner.query(
            """
            SELECT d.id, d.number, d.journey_id, d.title, d.amount_minor, d.currency, d.stage, d.outcome,
                d.organization, d.contact_id, d.company_id, d.responsible_id, s.name AS responsible,
                d.channel, d.campaign, d.version, d.last_event
            FROM deal d LEFT JOIN staff s ON s.id = d.responsible_id
            WHERE d.id = $1 \(lock ? "FOR UPDATE OF d" : "")
            """, [.id(id)]
        ).first.map { row in
            Deal(
                id: try row.id("id"), number: try row.int("number"),
                journeyID: try row.optionalID("journey_id"), title: try row.string("title"),
                amount: try row.money("amount_minor"), stage: try row.string("stage"),
                outcome: try row.string("outcome"), organization: try row.string("organization"),
                contactID: try row.optionalID("contact_id"),
                companyID: try row.optionalID("company_id"),
                responsibleID: try row.optionalID("responsible_id"),
                responsible: try row.optionalString("responsible"),
                channel: try row.optionalString("channel"),
                campaign: try row.optionalString("campaign"), version: try row.int("version"),
                lastEvent: try row.optionalID("last_event"))
        }
    }

    var slice: Slice {
        Slice(
            channel: channel, campaign: campaign, managerId: responsibleID, manager: responsible,
            organization: organization)
    }

    mutating func emit(
        _ data: some EventContract, cause: ID? = nil, in transaction: EventTransaction
    ) throws {
        let event = try transaction.emit(
            data, key: id.description, correlation: journeyID, causation: cause ?? lastEvent)
        lastEvent = event
        transaction.write(
            "UPDATE deal SET last_event = $2 WHERE id = $1", [.id(id), .id(event)])
    }
}

extension Row {
    /// Minor units in `column` with the row's `currency`; nil when unknown.
    func money(_ column: String) throws -> Money? {
        guard let minor = try optionalInt(column),
            let currency = try optionalString("currency").flatMap({ Currency($0) })
        else { return nil }
        return Money(minor: minor, currency: currency)
    }
}
