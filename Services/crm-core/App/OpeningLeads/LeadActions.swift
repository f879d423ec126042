import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit

/// What a person does with a lead; each in the caller's transaction.
struct LeadActions: Sendable {
    let settings: SuiteSettings
    let live: LivePages

    struct Conversion: Decodable, Sendable {
        let title: String?
        let amount: Money?
        let pipeline: String?
        let companyId: ID?
        let organization: String?
    }

    func take(_ id: ID, by caller: Caller, in transaction: EventTransaction) async throws {
        try await act(id, caller, transaction) { lead in
            guard lead.status == "new" else {
                throw Problem.conflict("the lead is \(lead.status), only a new one can be taken")
            }
            guard let user = caller.userID ?? lead.responsibleID else {
                throw Problem.invalid("a lead is taken by a member of staff")
            }
            try await transaction.query(
                """
                UPDATE lead SET status = 'taken', responsible_id = $2, next_task = 'Договориться с клиентом',
                    next_task_at = now() + interval '1 day', updated_at = now(), version = version + 1
                WHERE id = $1
                """, [.id(id), .id(user)])
            // It is his from now on, whoever had it before.
            let taken = try await Lead.find(id: id, in: transaction) ?? lead
            try lead.emit(
                LeadTaken(
                    leadId: id, number: lead.number, responsibleId: user, slice: taken.slice,
                    by: caller.name), in: transaction)
        }
    }

    func reject(
        _ id: ID, reason: String, by caller: Caller, in transaction: EventTransaction
    ) async throws {
        guard !reason.isEmpty, reason.count <= 500 else {
            throw Problem.invalid("reason has 1 to 500 characters")
        }
        try await act(id, caller, transaction) { lead in
            guard ["new", "taken"].contains(lead.status) else {
                throw Problem.conflict("the lead is already \(lead.status)")
            }
            try await transaction.query(
                """
                UPDATE lead SET status = 'rejected', reject_reason = $2, next_task = NULL,
                    next_task_at = NULL, updated_at = now(), version = version + 1 WHERE id = $1
                """, [.id(id), .text(reason)])
            try lead.emit(
                LeadRejected(
                    leadId: id, number: lead.number, reason: reason, slice: lead.slice,
                    by: caller.name), in: transaction)
            try lead.emit(
                JourneyClosed(journeyId: lead.journeyID, reason: "заявка отклонена"), in: transaction)
        }
    }

    /// Makes the deal; it keeps the lead's responsible.
    func convert(
        _ id: ID, _ wish: Conversion, by caller: Caller, in transaction: EventTransaction
    ) async throws -> ID {
        if let pipeline = wish.pipeline, pipeline != "default" {
            throw Problem.invalid("there is no pipeline «\(pipeline)»")
        }
        let organization = wish.organization ?? settings.organizations[0].code
        guard settings.organization(organization) != nil else {
            throw Problem.invalid("there is no organization «\(organization)»")
        }
        let dealID = ID.make()
        try await act(id, caller, transaction) { lead in
            guard ["new", "taken"].contains(lead.status) else {
                throw Problem.conflict("the lead is already \(lead.status)")
            }
            let title = wish.title ?? lead.text ?? "Сделка по заявке \(lead.number)"
            let row = try await transaction.query(
                """
                INSERT INTO deal (id, journey_id, title, amount_minor, currency, organization, contact_id,
                    company_id, responsible_id, channel, campaign, next_task, next_task_at)
                SELECT $1, l.journey_id, $3, $4, $5, $6, l.contact_id, coalesce($7, l.company_id),
                    coalesce(l.responsible_id, $8), l.channel, l.campaign, 'Согласовать заказ',
                    now() + interval '1 day'
                FROM lead l WHERE l.id = $2 RETURNING number, responsible_id
                """,
                [
                    .id(dealID), .id(id), .text(title.prefix(300).description),
                    .int(wish.amount?.minor), .text(wish.amount?.currency.code), .text(organization),
                    .id(wish.companyId), .id(caller.userID),
                ])[0]
            try await transaction.query(
                """
                UPDATE lead SET status = 'converted', deal_id = $2, responsible_id = $3, next_task = NULL,
                    next_task_at = NULL, updated_at = now(), version = version + 1 WHERE id = $1
                """, [.id(id), .id(dealID), .id(try row.optionalID("responsible_id"))])
            try lead.emit(
                LeadConverted(
                    leadId: id, number: lead.number, dealId: dealID, slice: lead.slice,
                    by: caller.name), in: transaction)
            guard var deal = try await Deal.find(dealID, in: transaction) else { return }
            try deal.emit(
                DealCreated(
                    dealId: dealID, number: deal.number, journeyId: deal.journeyID, title: title,
                    amount: wish.amount, responsibleId: deal.responsibleID, slice: deal.slice,
                    by: caller.name), cause: lead.lastEvent, in: transaction)
        }
        return dealID
    }

    private func act(
        _ id: ID, _ caller: Caller, _ transaction: EventTransaction,
        _ body: (inout Lead) async throws -> Void
    ) async throws {
        guard var lead = try await Lead.find(id: id, in: transaction), mayTouch(lead, caller) else {
            throw Problem.notFound("lead")
        }
        try await body(&lead)
        let journey = lead.journeyID
        transaction.afterCommit { live.changed(journey) }
    }

    /// A manager works his own leads, and those nobody has.
    private func mayTouch(_ lead: Lead, _ caller: Caller) -> Bool {
        caller.seesAll || lead.responsibleID == nil || lead.responsibleID == caller.userID
    }
}
