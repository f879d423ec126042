import Postgres
import Primitives

/// A journey as one line: its steps in order of time, each after the one it answers, and what is waited for.
struct JourneyView: Encodable, Sendable {
    struct Step: Encodable, Sendable {
        let id: ID
        let at: Timestamp
        let service, kind, summary: String
        let ref: String?
        let causedBy: ID?
        let by: String?

        enum CodingKeys: CodingKey { case id, at, service, kind, summary, ref, causedBy, by }
        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(id, forKey: .id)
            try container.encode(at, forKey: .at)
            try container.encode(service, forKey: .service)
            try container.encode(kind, forKey: .kind)
            try container.encode(summary, forKey: .summary)
            try container.encode(ref, forKey: .ref)
            try container.encode(causedBy, forKey: .causedBy)
            try container.encode(by, forKey: .by)
        }
    }
    struct Gap: Encodable, Sendable {
        let after: ID?
        let waitingFor: String
        let since: Timestamp
        let owner, norm: String
        let late: Bool
    }
    let id: ID
    let steps: [Step]
    let gaps: [Gap]

    static func load(_ id: ID, _ pool: PostgresPool) async throws -> JourneyView? {
        let rows = try await pool.query(
            """
            SELECT id, at, service, kind, summary, ref, caused_by, by_whom FROM journey_step
            WHERE journey_id = $1 ORDER BY at, id LIMIT 5000
            """, [.id(id)])
        guard !rows.isEmpty else { return nil }
        let steps = try rows.map {
            Step(
                id: try $0.id("id"), at: try $0.time("at"), service: try $0.string("service"),
                kind: try $0.string("kind"), summary: try $0.string("summary"),
                ref: try $0.optionalString("ref"), causedBy: try $0.optionalID("caused_by"),
                by: try $0.optionalString("by_whom"))
        }
        let ordered = causesFirst(steps)
        return JourneyView(id: id, steps: ordered, gaps: try await gaps(id, ordered, pool))
    }

    /// Within one millisecond the ids of two processes have no order: a cause stands before its effect.
    static func causesFirst(_ steps: [Step]) -> [Step] {
        var waiting: [ID: [Step]] = [:]
        var placed: Set<ID> = []
        var result: [Step] = []
        let known = Set(steps.map(\.id))
        func place(_ step: Step) {
            var stack = [step]
            while let next = stack.popLast() {
                placed.insert(next.id)
                result.append(next)
                stack += (waiting.removeValue(forKey: next.id) ?? []).reversed()
            }
        }
        for step in steps {
            if let cause = step.causedBy, known.contains(cause), !placed.contains(cause) {
                waiting[cause, default: []].append(step)
            } else {
                place(step)
            }
        }
        return result + waiting.values.flatMap { $0 }
    }

    private static func gaps(_ id: ID, _ steps: [Step], _ pool: PostgresPool) async throws -> [Gap] {
        func last(_ kinds: String..., ref: String? = nil) -> Step? {
            steps.last { kinds.contains($0.kind) && (ref == nil || $0.ref == ref) }
        }
        func gap(_ step: Step?, _ what: String, _ owner: String, norm: String, limit: Double, since: Timestamp)
            -> Gap
        {
            Gap(
                after: step?.id, waitingFor: what, since: since, owner: owner, norm: norm,
                late: Timestamp.now().seconds(since: since) > limit)
        }
        let answers = try await pool.run([
            Statement(
                """
                SELECT l.status, l.created_at, l.updated_at, s.name AS responsible FROM lead l
                LEFT JOIN staff s ON s.id = l.responsible_id WHERE l.journey_id = $1
                """, [.id(id)]),
            Statement(
                """
                SELECT d.id, d.outcome, d.stage, d.updated_at, s.name AS responsible,
                    (SELECT count(*) FROM sales_order o WHERE o.deal_id = d.id) AS orders
                FROM deal d LEFT JOIN staff s ON s.id = d.responsible_id WHERE d.journey_id = $1
                """, [.id(id)]),
            Statement(
                "SELECT id FROM sales_order WHERE journey_id = $1 ORDER BY created_at", [.id(id)]),
        ])
        var gaps: [Gap] = []
        if let lead = answers[0].first {
            let owner = try lead.optionalString("responsible") ?? "не назначен"
            switch try lead.string("status") {
            case "new":
                let since = try lead.time("created_at")
                gaps.append(
                    gap(last("crm.lead.created"), "crm.lead.taken", owner, norm: "15 мин", limit: 900, since: since))
            case "taken":
                gaps.append(
                    gap(
                        last("crm.lead.taken"), "crm.lead.converted", owner, norm: "1 день",
                        limit: 86_400, since: try lead.time("updated_at")))
            default: break
            }
        }
        if let deal = answers[1].first, try deal.string("outcome") != "lost", try deal.int("orders") == 0 {
            gaps.append(
                gap(
                    last("crm.deal.created", "crm.deal.stage_changed"), "crm.order.requested",
                    try deal.optionalString("responsible") ?? "не назначен", norm: "3 дня",
                    limit: 3 * 86_400, since: try deal.time("updated_at")))
        }
        for row in answers[2] {
            guard let order = try await OrderView.load(try row.id("id"), in: pool) else { continue }
            let ref = "order:\(order.id)"
            let since = order.asOf ?? order.createdAt
            switch order.status {
            case "requested":
                gaps.append(
                    gap(
                        last("crm.order.requested", ref: ref), "onec.order.sent", "1С \(order.base)",
                        norm: "5 мин", limit: 300, since: since))
            case "sent":
                gaps.append(
                    gap(
                        last("onec.order.sent"), "onec.order.reported", "1С \(order.base)",
                        norm: "1 ч", limit: 3600, since: since))
            case "accepted":
                if ["none", "partly", "unknown"].contains(order.payment) {
                    gaps.append(
                        gap(
                            last("crm.order.changed", ref: ref), "money.received",
                            order.payment == "unknown" ? "1С \(order.base) не сообщает" : "клиент",
                            norm: "5 дней", limit: 5 * 86_400, since: since))
                }
                if ["none", "partly"].contains(order.shipment) {
                    gaps.append(
                        gap(
                            last("crm.order.changed", ref: ref), "shipment", "склад", norm: "10 дней",
                            limit: 10 * 86_400, since: since))
                }
            default: break
            }
        }
        return gaps
    }
}
