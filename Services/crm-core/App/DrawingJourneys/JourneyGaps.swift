import Postgres
import Primitives

/// What a line waits for: read from the records, told after the step it follows.
struct JourneyGaps {
    private let steps: [JourneyView.Step]
    private let language: Language

    init(_ steps: [JourneyView.Step], _ language: Language) {
        self.steps = steps
        self.language = language
    }

    /// The records of some journeys.
    struct Records {
        fileprivate let leads, deals: [ID: Row]
        fileprivate let orders: [ID?: [OrderView]]

        init(of journeys: [ID], _ pool: PostgresPool) async throws {
            let answers = try await pool.run([
                Statement(
                    """
                    SELECT l.journey_id, l.status, l.created_at, l.updated_at, s.name AS responsible FROM lead l
                    LEFT JOIN staff s ON s.id = l.responsible_id WHERE l.journey_id = ANY($1::uuid[])
                    """, [.ids(journeys)]),
                Statement(
                    """
                    SELECT d.journey_id, d.id, d.outcome, d.stage, d.updated_at, s.name AS responsible,
                        (SELECT count(*) FROM sales_order o WHERE o.deal_id = d.id) AS orders
                    FROM deal d LEFT JOIN staff s ON s.id = d.responsible_id WHERE d.journey_id = ANY($1::uuid[])
                    """, [.ids(journeys)]),
            ])
            func byJourney(_ rows: Rows) throws -> [ID: Row] {
                Dictionary(try rows.map { (try $0.id("journey_id"), $0) }) { first, _ in first }
            }
            leads = try byJourney(answers[0])
            deals = try byJourney(answers[1])
            orders = Dictionary(grouping: try await OrderView.load(journeys: journeys, in: pool), by: \.journeyId)
        }
    }

    func find(_ id: ID, _ records: Records) throws -> [JourneyView.Gap] {
        try (records.leads[id].map(lead) ?? []) + (records.deals[id].map(deal) ?? [])
            + (records.orders[id] ?? []).flatMap(order)
    }

    private var nobody: String { language.pick("не назначен", "nobody") }

    private func lead(_ row: Row) throws -> [JourneyView.Gap] {
        let owner = try row.optionalString("responsible") ?? nobody
        switch try row.string("status") {
        case "new":
            return [
                gap(
                    last("crm.lead.created"), "crm.lead.taken", owner, limit: 900,
                    since: try row.time("created_at"))
            ]
        case "taken":
            return [
                gap(
                    last("crm.lead.taken"), "crm.lead.converted", owner, limit: 86_400,
                    since: try row.time("updated_at"))
            ]
        default: return []
        }
    }

    private func deal(_ row: Row) throws -> [JourneyView.Gap] {
        guard try row.string("outcome") != "lost", try row.int("orders") == 0 else { return [] }
        return [
            gap(
                last("crm.deal.created", "crm.deal.stage_changed"), "crm.order.requested",
                try row.optionalString("responsible") ?? nobody, limit: 3 * 86_400,
                since: try row.time("updated_at"))
        ]
    }

    private func order(_ order: OrderView) -> [JourneyView.Gap] {
        let ref = "order:\(order.id)"
        let since = order.asOf ?? order.createdAt
        switch order.status {
        case "requested":
            return [
                gap(
                    last("crm.order.requested", ref: ref), "onec.order.sent", "1С \(order.base)", limit: 300,
                    since: since)
            ]
        case "sent":
            return [
                gap(
                    last("onec.order.sent"), "onec.order.reported", "1С \(order.base)", limit: 3600, since: since)
            ]
        case "accepted":
            let change = last("crm.order.changed", ref: ref)
            var gaps: [JourneyView.Gap] = []
            if ["none", "partly", "unknown"].contains(order.payment) {
                let owner =
                    order.payment == "unknown"
                    ? language.pick("1С \(order.base) не сообщает", "1C \(order.base) does not tell")
                    : language.pick("клиент", "the client")
                gaps.append(
                    gap(change, "money.received", owner, limit: 5 * 86_400, since: since))
            }
            let isUntold = order.shipmentUnknown == OrderState.unpricedReturns
            if ["none", "partly"].contains(order.shipment) || isUntold {
                let owner =
                    isUntold
                    ? language.pick("1С \(order.base) не сообщает", "1C \(order.base) does not tell")
                    : language.pick("склад", "the warehouse")
                gaps.append(gap(change, "shipment", owner, limit: 10 * 86_400, since: since))
            }
            return gaps
        default: return []
        }
    }

    private func last(_ kinds: String..., ref: String? = nil) -> JourneyView.Step? {
        steps.last { kinds.contains($0.kind) && (ref == nil || $0.ref == ref) }
    }

    private func gap(
        _ step: JourneyView.Step?, _ what: String, _ owner: String, limit: Double, since: Timestamp
    ) -> JourneyView.Gap {
        .init(
            after: step?.id, waitingFor: what, since: since, owner: owner,
            norm: HumanText.span(limit, language),
            late: Timestamp.now().seconds(since: since) > limit)
    }
}
