import Contracts
import Messaging
import Postgres
import Primitives

/// Gives a system its orders, one after another: `ready` → `sending` → `sent`, `refused`, or `doubtful` when the answer did not come. What is in doubt
/// is looked up by its key and never sent blindly again; until it is settled nothing else of the same client goes out.
struct OrderExecutor: Sendable {
    let line: SystemLine
    let reports: OrderReports

    var base: String { line.base.base }

    func run() async throws {
        try await line.loop("giving orders", .sending, wakenBy: line.signal) { try await round() }
    }

    /// - Returns: seconds until there may be something to do again; 0 for at once.
    private func round() async throws -> Double {
        try await orphan()
        // Its check may read what lies there.
        guard try await reports.isMarked() else { return 1 }
        if case .wait(let seconds) = line.mayTalk(.sending) { return seconds }
        if let doubtful = try await nextDoubtful() {
            try await settle(doubtful)
            return 0
        }
        if case .wait(let seconds) = line.maySend() { return min(seconds, 2) }
        if try await isMeetingClients() { return 1 }
        guard let order = try await take() else {
            // Nothing is to be given that would tell that it works again.
            try await line.probe()
            return 2
        }
        line.sent()
        try await give(order)
        return 0
    }

    /// Before the first order all clients of the base are known, so that none is made twice. A base whose cards cannot be read gets its orders all the same:
    /// each client is looked up by INN then.
    private func isMeetingClients() async throws -> Bool {
        guard line.driver.tellsCards, case .go = line.mayTalk(.catalogs) else { return false }
        return try await line.bus.pool.query(
            "SELECT 1 AS one FROM base_state WHERE base = $1 AND clients_read_at IS NOT NULL", [.text(base)]
        ).isEmpty
    }

    struct Work: Sendable {
        let outgoing: OutgoingOrder
        let journey: ID?
        /// Times that it was given.
        let attempts: Int64
        /// Times that it was looked for since it is in doubt, and times in a row that giving it met a system that did not work.
        let looks, setbacks: Int64
        /// The base had taken it, and a person has it looked for (``Repair/Kind/sent``).
        let wasSent: Bool
        var id: ID { outgoing.order.orderId }
    }

    // MARK: what is to be done

    static let columns = """
        id, request::text AS request, journey_id, attempts, looks, setbacks, sent_at IS NOT NULL AS was_sent, (requested_at AT TIME ZONE $2)::date::text AS day
        """

    func work(_ row: Row) throws -> Work {
        Work(
            outgoing: OutgoingOrder(
                order: try JSON.decode(OrderRequested.self, from: try row.string("request").utf8),
                day: try row.string("day")),
            journey: try row.optionalID("journey_id"), attempts: try row.int("attempts"),
            looks: try row.int("looks"), setbacks: try row.int("setbacks"), wasSent: try row.bool("was_sent"))
    }

    /// Nothing of ours is under way between two rounds: whoever was sending these has died, or lost the lead.
    private func orphan() async throws {
        try await line.bus.pool.query(
            """
            UPDATE order_out SET state = 'doubtful', doubtful_since = now(),
                reason = 'передача оборвалась, проверяем, есть ли заказ в системе'
            WHERE base = $1 AND state = 'sending'
            """, [.text(base)])
    }

    /// The oldest order of a client none of whose orders is in doubt, marked as under way before anything leaves.
    private func take() async throws -> Work? {
        try await line.bus.pool.query(
            """
            UPDATE order_out SET state = 'sending', attempts = attempts + 1 WHERE id = (
                SELECT o.id FROM order_out o WHERE o.base = $1 AND o.state = 'ready' AND NOT EXISTS (
                    SELECT 1 FROM order_out d WHERE d.base = $1 AND d.state = 'doubtful'
                        AND d.counterparty_id = o.counterparty_id)
                ORDER BY o.requested_at, o.number LIMIT 1 FOR UPDATE)
            RETURNING \(Self.columns)
            """, [.text(base), .text(line.base.timeZone)]
        ).first.map(work)
    }

    // MARK: doing it

    private func give(_ work: Work) async throws {
        var wire = line.wire
        wire.order = (work.outgoing.order.number, work.journey)
        let begun = ContinuousClock.now
        do {
            // One that was given before may be there: never blindly again.
            if work.attempts > 1, var there = try await line.driver.find(work.outgoing, wire) {
                there = try await line.driver.complete(there, wire)
                there.wasThere = true
                return try await confirm(work, there, wire.session, seconds: nil)
            }
            let taken = try await line.driver.give(work.outgoing, wire)
            try await confirm(work, taken, wire.session, seconds: begun.duration(to: .now).seconds)
        } catch let failure as DriverFailure {
            switch failure {
            case .refused(let reason):
                // One that was given before may stand in its own way.
                if work.attempts > 1, try await line.driver.find(work.outgoing, wire) != nil {
                    return try await mark(work, "doubtful", "\(reason); проверяем, есть ли заказ в системе")
                }
                // At the first attempt nothing was made there: it is as if it had never been given.
                try await refuse(work, reason, isUntouched: work.attempts == 1)
            case .doubtful(let reason):
                try await mark(work, "doubtful", "ответ не пришёл, проверяем, есть ли заказ в системе: \(reason)")
                throw failure
            case .away(let reason):
                // Nothing came of it: this time does not count. But when all else works, it is this order that it chokes on.
                let setbacks = failure.isSomebodyElses ? work.setbacks : work.setbacks + 1
                try await mark(work, "ready", nil, attempts: work.attempts - 1, setbacks: setbacks)
                guard setbacks >= Self.setbackLimit else { throw failure }
                try await demandThatItWorks(work, wire)
                try await refuse(work, "система работает, но на этом заказе каждый раз сбой: \(reason)")
            case .unfit:
                try await mark(work, "ready", nil, attempts: work.attempts - 1)
                throw failure
            }
        }
    }

    /// An order is to blame only where all else works: what an outage has counted against it does not stand.
    func demandThatItWorks(_ work: Work, _ wire: ExchangeWire) async throws {
        do { try await line.driver.check(wire) } catch {
            try await line.bus.pool.query(
                "UPDATE order_out SET setbacks = 0, looks = 0 WHERE id = $1", [.id(work.id)])
            throw error
        }
    }

    /// Times in a row that giving an order may meet a system that does not work, before it is asked whether it works otherwise.
    static let setbackLimit: Int64 = 8

    func mark(
        _ work: Work, _ state: String, _ reason: String?, attempts: Int64? = nil, setbacks: Int64? = nil
    ) async throws {
        try await line.bus.pool.query(
            """
            UPDATE order_out SET state = $2, reason = $3, looked_up_at = NULL, looks = 0,
                attempts = coalesce($4::int, attempts), setbacks = coalesce($5::int, setbacks),
                doubtful_since = CASE WHEN $2 = 'doubtful' THEN now() END
            WHERE id = $1 AND state IN ('sending', 'doubtful')
            """, [.id(work.id), .text(state), .text(reason), .int(attempts), .int(setbacks)])
    }

    func confirm(_ work: Work, _ taken: TakenOrder, _ session: ID, seconds: Double?) async throws {
        let order = work.outgoing.order
        try await line.bus.transaction { [line, base] transaction in
            try await line.answered(.sending, [.orders, .rights], in: transaction)
            try await transaction.query(
                """
                UPDATE base_state SET duplicates_prevented = duplicates_prevented + $2::int,
                    send_seconds = coalesce(0.8 * send_seconds + 0.2 * $3::double precision, $3, send_seconds)
                WHERE base = $1
                """, [.text(base), .int(taken.wasThere ? 1 : 0), .double(seconds)])
            let row = try await transaction.query(
                "SELECT state, last_event, sent_at FROM order_out WHERE id = $1 FOR UPDATE", [.id(work.id)]
            ).first
            guard let row else { return }
            let state = try row.string("state")
            // What it had lost and has again is said, even when it has told of it meanwhile: a report says it only of what was never sent.
            let isGivenAgain = state == "sent" && work.wasSent && !taken.wasThere
            // Otherwise it has told of the order meanwhile, or another instance was quicker.
            guard ["sending", "doubtful"].contains(state) || isGivenAgain else { return }
            // A person had it looked for (`Repair.Kind.sent`), and it is where it was: nothing has happened.
            if taken.wasThere, try row.optionalTime("sent_at") != nil {
                try await transaction.query(
                    """
                    UPDATE order_out SET state = 'sent', reason = $2, ask_at = now(), onec_id = coalesce($3, onec_id),
                        onec_number = coalesce($4, onec_number) WHERE id = $1
                    """, [.id(work.id), .text(taken.warning), .text(taken.onecId), .text(taken.onecNumber)])
                return
            }
            let exchange = try await transaction.query(
                "SELECT id FROM exchange WHERE session = $1 ORDER BY id DESC LIMIT 1", [.id(session)]
            ).first?.id("id")
            let event = try transaction.emit(
                OrderSent(
                    orderId: work.id, number: order.number, base: base, exchangeId: exchange ?? session, by: "мост 1С"),
                key: work.id.description, correlation: work.journey, causation: try row.id("last_event"))
            try await transaction.query(
                """
                UPDATE order_out SET state = 'sent', sent_at = now(), last_event = $2, reason = $3, ask_at = now(),
                    news_at = now(), onec_id = coalesce($4, onec_id), onec_number = coalesce($5, onec_number),
                    match_again = true
                WHERE id = $1
                """,
                [
                    .id(work.id), .id(event), .text(taken.warning), .text(taken.onecId), .text(taken.onecNumber),
                ])
        }
    }

    /// - Parameter isUntouched: nothing of it can be there.
    func refuse(_ work: Work, _ reason: String, isUntouched: Bool = false) async throws {
        let order = work.outgoing.order
        try await line.bus.transaction { [line, base] transaction in
            try await line.answered(.sending, [], in: transaction)
            let row = try await transaction.query(
                """
                SELECT id, journey_id, last_event FROM order_out
                WHERE id = $1 AND state IN ('sending', 'doubtful', 'ready') FOR UPDATE
                """,
                [.id(work.id)]
            ).first
            guard let row else { return }
            try await OrderQueue.refuse(row, order.number, base, reason, by: "1С \(base)", in: transaction)
            if isUntouched {
                try await transaction.query("UPDATE order_out SET attempts = 0 WHERE id = $1", [.id(work.id)])
            }
        }
    }
}
