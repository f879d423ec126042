import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit

/// What a person does with a deal, in the caller's transaction. Its outcome is apart from its stage: won means agreed, not paid.
struct DealActions: Sendable {
    let live: LivePages

    static let stages = ["new", "qualified", "proposal", "agreed", "won", "lost"]

    struct Change: Decodable, Sendable {
        let title: String?
        let amount: Money?
        let companyId: ID?
        let nextTask: String?
        let nextTaskAt: Timestamp?
    }

    func move(
        _ id: ID, to stage: String, lostReason: String?, by caller: Caller, in transaction: EventTransaction
    ) async throws {
        guard Self.stages.contains(stage) else {
            throw Problem.invalid("stage is one of \(Self.stages.joined(separator: ", "))")
        }
        if stage == "lost", (lostReason ?? "").isEmpty {
            throw Problem.invalid("a lost deal needs lostReason")
        }
        try await act(id, caller, transaction) { deal in
            guard deal.stage != stage else { return }
            let outcome = ["won", "lost"].contains(stage) ? stage : "open"
            let reopened = deal.outcome != "open" && outcome == "open"
            try await transaction.query(
                """
                UPDATE deal SET stage = $2, outcome = $3, lost_reason = CASE WHEN $3 = 'lost' THEN $4 END,
                    won_at = CASE WHEN $3 = 'won' THEN coalesce(won_at, now()) END,
                    next_task = CASE $3 WHEN 'won' THEN 'Проверить оплату' WHEN 'open' THEN next_task END,
                    next_task_at = CASE $3 WHEN 'won' THEN now() + interval '5 days'
                        WHEN 'open' THEN next_task_at END,
                    updated_at = now(), version = version + 1 WHERE id = $1
                """, [.id(id), .text(stage), .text(outcome), .text(lostReason)])
            try deal.emit(
                DealStageChanged(
                    dealId: id, number: deal.number, from: deal.stage, to: stage, reopened: reopened,
                    amount: deal.amount, slice: deal.slice, by: caller.name), in: transaction)
            if stage == "won" {
                try deal.emit(
                    DealWon(
                        dealId: id, number: deal.number, amount: deal.amount, slice: deal.slice,
                        by: caller.name), in: transaction)
                if let journey = deal.journeyID,
                    try await JourneyEnd.closesSettled(id, journey, in: transaction)
                {
                    try deal.emit(
                        JourneyClosed(journeyId: journey, reason: JourneyEnd.settled), in: transaction)
                }
            } else if stage == "lost" {
                try deal.emit(
                    DealLost(
                        dealId: id, number: deal.number, reason: lostReason, slice: deal.slice,
                        by: caller.name), in: transaction)
                if let journey = deal.journeyID {
                    try deal.emit(
                        JourneyClosed(journeyId: journey, reason: "сделка проиграна"), in: transaction)
                }
            }
        }
    }

    func change(
        _ id: ID, _ change: Change, of version: Int64?, by caller: Caller, in transaction: EventTransaction
    ) async throws {
        if let company = change.companyId {
            _ = try await Directory(runner: transaction).company(company)
        }
        try await act(id, caller, transaction) { deal in
            guard version == deal.version else { throw staleVersion(deal.version) }
            try await transaction.query(
                """
                UPDATE deal SET title = coalesce($2, title), amount_minor = coalesce($3, amount_minor),
                    currency = coalesce($4, currency), company_id = coalesce($5, company_id),
                    next_task = coalesce($6, next_task), next_task_at = coalesce($7, next_task_at),
                    updated_at = now(), version = version + 1 WHERE id = $1
                """,
                [
                    .id(id), .text(change.title), .int(change.amount?.minor),
                    .text(change.amount?.currency.code), .id(change.companyId),
                    .text(change.nextTask), .time(change.nextTaskAt),
                ])
        }
    }

    private func act(
        _ id: ID, _ caller: Caller, _ transaction: EventTransaction,
        _ body: (inout Deal) async throws -> Void
    ) async throws {
        guard var deal = try await Deal.find(id, in: transaction),
            caller.seesAll || deal.responsibleID == caller.userID
        else { throw Problem.notFound("deal") }
        try await body(&deal)
        if let journey = deal.journeyID { transaction.afterCommit { live.changed(journey) } }
    }
}
