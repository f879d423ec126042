import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit

/// What counts as what: events become facts.
struct FactHandlers: Sendable {
    let changed: @Sendable ([Cell]) -> Void

    func crm() -> EventHandlers {
        var handlers = EventHandlers()
        handlers.on(LeadCreated.self) { lead, event, transaction in
            try await begin(lead.journeyId, lead.slice.campaign, in: transaction)
            let fact = Fact(
                "leads.created", key: lead.leadId.description, at: event.at, slice: lead.slice,
                journey: event.correlation, kind: "lead", ref: lead.leadId.description,
                number: String(lead.number))
            try await count([fact, reached("lead", fact)], event, in: transaction)
        }
        handlers.on(LeadTaken.self) { lead, event, transaction in
            let fact = Fact(
                "leads.created", key: lead.leadId.description, at: event.at, slice: lead.slice,
                journey: event.correlation, kind: "lead", ref: lead.leadId.description,
                number: String(lead.number))
            try await count([reached("taken", fact)], event, in: transaction)
        }
        handlers.on(DealCreated.self) { deal, event, transaction in
            let fact = Fact(
                "deals.created", key: deal.dealId.description, at: event.at, slice: deal.slice,
                journey: event.correlation, kind: "deal", ref: deal.dealId.description,
                number: String(deal.number))
            try await count([fact, reached("deal", fact)], event, in: transaction)
        }
        handlers.on(DealWon.self) { deal, event, transaction in
            let fact = Fact(
                "deals.won", key: deal.dealId.description, at: event.at, slice: deal.slice,
                journey: event.correlation, kind: "deal", ref: deal.dealId.description,
                number: String(deal.number))
            try await count([fact, reached("won", fact)], event, in: transaction)
        }
        handlers.on(DealStageChanged.self) { deal, event, transaction in
            // A correction: what was won is won no more.
            guard deal.from == "won", deal.to != "won" else { return }
            var fact = Fact(
                "deals.won", key: deal.dealId.description, at: event.at, slice: deal.slice,
                journey: event.correlation, kind: "deal", ref: deal.dealId.description)
            fact.counted = false
            var step = reached("won", fact)
            step.counted = false
            try await count([fact, step], event, in: transaction)
        }
        handlers.on(OrderChanged.self) { try await order($0, $1, in: $2) }
        handlers.on(PaymentRecorded.self) { try await payment($0, $1, in: $2) }
        handlers.on(OrderLinked.self) { try await linked($0, $1, in: $2) }
        handlers.takeSnapshots()
        return handlers
    }

    func gateway() -> EventHandlers {
        var handlers = EventHandlers()
        // In the gateway's own order, before whatever is said on the line; crm-core may be behind.
        handlers.on(JourneyOpened.self) { opened, _, transaction in
            try await begin(opened.journeyId, opened.attribution?.campaignName, in: transaction)
        }
        handlers.on(MessageSent.self) { message, event, transaction in
            guard let seconds = message.responseSeconds, message.state == "sent" else { return }
            let campaign = try await transaction.query(
                "SELECT campaign FROM journey_slice WHERE journey_id = $1", [.id(event.correlation)]
            ).first?.optionalString("campaign")
            let fact = Fact(
                message.author == "manager" ? "response.human" : "response.bot",
                key: message.messageId.description, at: event.at, amount: String(seconds), unit: "s",
                slice: Slice(channel: message.channel, campaign: campaign), journey: event.correlation,
                kind: "message", ref: message.messageId.description)
            try await count([fact], event, in: transaction)
        }
        return handlers
    }

    /// What a line began with, for what is said on it.
    private func begin(_ journey: ID, _ campaign: String?, in transaction: EventTransaction) async throws {
        try await transaction.query(
            "INSERT INTO journey_slice (journey_id, campaign) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            [.id(journey), .text(campaign)])
    }

    private func order(_ order: OrderChanged, _ event: ReceivedEvent, in transaction: EventTransaction) async throws {
        var facts: [Fact] = []
        let ref = order.orderId.description
        // What was made in 1C was handed over to nobody.
        if order.origin != "onec", ["sent", "accepted", "closed"].contains(order.status) {
            let known = try await transaction.query(
                "SELECT 1 AS one FROM fact WHERE metric = 'orders.sent' AND key = $1", [.text(ref)])
            if known.isEmpty {
                let fact = Fact(
                    "orders.sent", key: ref, at: event.at, slice: order.slice,
                    journey: event.correlation, kind: "order", ref: ref, number: order.number)
                facts += [fact, reached("order", fact)]
            }
        }
        // Once the base turns out unable to tell payments, what was owed is unknown and counts no more.
        if let owed = order.owed ?? order.total {
            let lives =
                order.owed != nil && ["sent", "accepted", "closed"].contains(order.status) && owed.minor > 0
            var fact = Fact(
                "receivables.owed", key: ref, at: event.at, money: owed, slice: order.slice,
                journey: event.correlation, kind: "order", ref: ref, number: order.number)
            fact.counted = lives
            facts.append(fact)
            fact.metric = "receivables.overdue"
            fact.counted = lives && (order.dueDate.map { $0 < LocalTime.day(event.at) } ?? false)
            facts.append(fact)
        }
        try await count(facts, event, in: transaction)
    }

    private func payment(_ payment: PaymentRecorded, _ event: ReceivedEvent, in transaction: EventTransaction)
        async throws
    {
        var fact = Fact(
            payment.kind == "refund" ? "money.refunded" : "money.received", key: payment.documentKey,
            at: event.at, day: payment.date, money: payment.amount, slice: payment.slice,
            journey: event.correlation, kind: "document", ref: payment.documentKey,
            number: payment.documentNumber)
        fact.counted = payment.counted
        // Money of an order that is no deal's is no step of one.
        let isStep = payment.kind == "payment" && payment.dealId != nil
        try await count(isStep && payment.counted ? [fact, paidStep(fact)] : [fact], event, in: transaction)
        if isStep, !payment.counted { try await takeBackPaid(fact, event, in: transaction) }
    }

    /// An order that was made in 1C is a deal's, or no deal's any more: so is its money, and what it has paid for of the funnel.
    private func linked(_ order: OrderLinked, _ event: ReceivedEvent, in transaction: EventTransaction) async throws {
        let (cells, moved) = try await Ledger.move(order, in: transaction)
        if !cells.isEmpty { transaction.afterCommit { changed(cells) } }
        let paid = moved.filter { $0.fact.metric == "money.received" }
        if order.dealId != nil {
            return try await count(paid.map { paidStep($0.fact) }, event, in: transaction)
        }
        for one in paid {
            var left = one.fact
            left.journey = one.journey
            try await takeBackPaid(left, event, in: transaction)
        }
    }

    /// A line none of whose money counts any more has not reached the step «paid».
    private func takeBackPaid(_ fact: Fact, _ event: ReceivedEvent, in transaction: EventTransaction) async throws {
        var step = paidStep(fact)
        let isTold = try await !transaction.query(
            """
            SELECT 1 AS one FROM fact WHERE metric = $1 AND key = $2 AND counted AND NOT EXISTS (
                SELECT 1 FROM fact m WHERE m.metric = 'money.received' AND m.counted AND m.journey_id = $3)
            """, [.text(step.metric), .text(step.key), .id(fact.journey)]
        ).isEmpty
        guard isTold else { return }
        step.counted = false
        try await count([step], event, in: transaction)
    }

    /// Money that has come takes its line to the step «paid».
    private func paidStep(_ fact: Fact) -> Fact {
        var step = fact
        (step.day, step.currency, step.amount, step.unit) = (nil, nil, "1", "pcs")
        return reached("paid", step)
    }

    /// A journey reaches a step of the funnel once.
    private func reached(_ step: String, _ fact: Fact) -> Fact {
        var fact = fact
        fact.metric = "funnel.reached"
        fact.key = "\(step)/\(fact.journey?.description ?? fact.key)"
        fact.step = step
        return fact
    }

    private static let told: Set = ["leads.created", "deals.won", "orders.sent", "money.received", "money.refunded"]

    private func count(_ facts: [Fact], _ event: ReceivedEvent, in transaction: EventTransaction) async throws {
        let cells = try await Ledger.record(facts, in: transaction)
        for fact in facts where Self.told.contains(fact.metric) && fact.counted {
            try transaction.emit(
                FactCounted(
                    metric: fact.metric, factKey: fact.key, value: fact.amount, unit: fact.unit,
                    period: fact.localDay),
                key: fact.key, answering: event)
        }
        if !cells.isEmpty { transaction.afterCommit { changed(cells) } }
    }
}
