import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit

/// Says leads, deals, orders and their money as they stand, for a subscriber below the oldest kept event. Each page locks its
/// records while it is said, so that nothing said of them later can come before it.
struct StateRestating: Sendable {
    let asOf: Int64
    let speak: EventBus.Speaking

    /// Records of one transaction.
    private static let pageCount = 100

    /// How many states were said.
    func run() async throws -> Int {
        var count = 0
        for page in [leads, deals, orders] {
            var last: ID?
            repeat {
                let said = Said()
                let after = last
                try await speak(.flushed) { transaction in await said.set(try await page(after, transaction)) }
                last = await said.last
                count += await said.count
            } while last != nil
        }
        return count
    }

    private actor Said {
        var last: ID?
        var count = 0
        func set(_ page: (last: ID?, count: Int)) { (last, count) = page }
    }

    private func say(
        _ data: some EventContract, at: Timestamp, key: ID, journey: ID?, in transaction: EventTransaction
    ) throws {
        let json = try JSON.decode(RawJSON.self, from: try JSON.encode(data))
        try transaction.emit(
            StateSnapshot(asOf: asOf, says: type(of: data).type, at: at, journeyId: journey, data: json),
            key: key.description, correlation: nil, causation: nil)
    }

    private func ids(_ table: String, _ after: ID?, _ transaction: EventTransaction) async throws -> [Row] {
        Array(
            try await transaction.query(
                """
                SELECT * FROM \(table) WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT \(Self.pageCount) FOR UPDATE
                """, [.id(after)]))
    }

    private func leads(_ after: ID?, _ transaction: EventTransaction) async throws -> (last: ID?, count: Int) {
        let rows = try await ids("lead", after, transaction)
        var count = 0
        for row in rows {
            guard let lead = try await Lead.find(id: try row.id("id"), in: transaction, lock: false) else { continue }
            try say(
                LeadCreated(
                    leadId: lead.id, number: lead.number, journeyId: lead.journeyID, name: lead.name, slice: lead.slice),
                at: try row.time("created_at"), key: lead.id, journey: lead.journeyID, in: transaction)
            count += 1
            // A lead may be converted without having been taken: only its line tells.
            let taken = try await transaction.query(
                "SELECT at FROM journey_step WHERE journey_id = $1 AND kind = 'crm.lead.taken' ORDER BY at LIMIT 1",
                [.id(lead.journeyID)]
            ).first?.time("at")
            guard let responsible = lead.responsibleID, let taken else { continue }
            try say(
                LeadTaken(leadId: lead.id, number: lead.number, responsibleId: responsible, slice: lead.slice),
                at: taken,
                key: lead.id, journey: lead.journeyID, in: transaction)
            count += 1
        }
        return (try rows.last?.id("id"), count)
    }

    private func deals(_ after: ID?, _ transaction: EventTransaction) async throws -> (last: ID?, count: Int) {
        let rows = try await ids("deal", after, transaction)
        var count = 0
        for row in rows {
            guard let deal = try await Deal.find(try row.id("id"), in: transaction, lock: false) else { continue }
            try say(
                DealCreated(
                    dealId: deal.id, number: deal.number, journeyId: deal.journeyID, title: deal.title,
                    amount: deal.amount,
                    responsibleId: deal.responsibleID, slice: deal.slice),
                at: try row.time("created_at"), key: deal.id, journey: deal.journeyID, in: transaction)
            count += 1
            guard deal.outcome == "won", let wonAt = try row.optionalTime("won_at") else { continue }
            try say(
                DealWon(dealId: deal.id, number: deal.number, amount: deal.amount, slice: deal.slice), at: wonAt,
                key: deal.id, journey: deal.journeyID, in: transaction)
            count += 1
        }
        return (try rows.last?.id("id"), count)
    }

    private func orders(_ after: ID?, _ transaction: EventTransaction) async throws -> (last: ID?, count: Int) {
        let rows = try await ids("sales_order", after, transaction)
        var count = 0
        for row in rows {
            let id = try row.id("id")
            guard let order = try await OrderView.load(id, in: transaction) else { continue }
            var deal: Deal?
            if let known = try row.optionalID("deal_id") {
                deal = try await Deal.find(known, in: transaction, lock: false)
            }
            let journey = try row.optionalID("journey_id")
            let at = try row.optionalTime("as_of") ?? row.time("created_at")
            try say(
                order.changed(deal, by: .onec(base: order.base)), at: at, key: id, journey: journey, in: transaction)
            count += 1
            let money = try await transaction.query(
                """
                SELECT c.base, c.kind, c.onec_id, c.number, c.date, c.amount_minor, c.currency, c.as_of,
                    \(OrderDocuments.counts) AS counted
                FROM document c JOIN sales_order o ON o.id = c.order_id
                WHERE c.order_id = $1 AND c.kind IN ('payment', 'refund') ORDER BY c.as_of, c.date, c.onec_id
                """, [.id(id)])
            for document in money {
                guard let amount = try document.money("amount_minor") else { continue }
                let asOf = try document.time("as_of")
                try say(
                    PaymentRecorded(
                        documentKey: PaymentRecorded.key(
                            base: try document.string("base"), kind: try document.string("kind"),
                            onecId: try document.string("onec_id"), order: order.number),
                        kind: try document.string("kind"), orderId: id, orderNumber: order.number, dealId: deal?.id,
                        responsibleId: deal?.responsibleID, amount: amount,
                        date: try document.optionalString("date") ?? asOf.day, counted: try document.bool("counted"),
                        documentNumber: try document.optionalString("number"),
                        slice: deal?.slice ?? Slice(organization: order.organization)),
                    at: asOf, key: id, journey: journey, in: transaction)
                count += 1
            }
            guard order.origin == "onec" else { continue }
            // Whose its money is now; who has counted it before it was put there moves it.
            try say(
                OrderLinked(
                    orderId: id, number: order.number, dealId: deal?.id, journeyId: journey,
                    slice: deal?.slice ?? Slice(organization: order.organization)),
                at: at, key: id, journey: journey, in: transaction)
            count += 1
        }
        return (try rows.last?.id("id"), count)
    }
}
