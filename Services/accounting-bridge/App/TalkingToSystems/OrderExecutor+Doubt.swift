import Messaging
import Postgres
import Primitives

/// An order whose answer did not come: looked up by its key until it is found, or surely not there.
extension OrderExecutor {
    /// Seconds between two looks for an order in doubt.
    static let lookPause = 2.0

    /// The one that was looked for the longest ago, marked as looked for now: whatever comes of it, the others have their turn.
    func nextDoubtful() async throws -> Work? {
        try await line.bus.pool.query(
            """
            UPDATE order_out SET looked_up_at = now(), looks = looks + 1 WHERE id = (
                SELECT id FROM order_out WHERE base = $1 AND state = 'doubtful'
                    AND coalesce(looked_up_at, '-infinity') < now() - interval '\(Self.lookPause) seconds'
                ORDER BY looked_up_at NULLS FIRST, requested_at LIMIT 1)
            RETURNING \(Self.columns)
            """, [.text(base), .text(line.base.timeZone)]
        ).first.map(work)
    }

    /// Looks after which an order in doubt lets others have their turn, and after which it stands aside.
    static let patientLooks: Int64 = 3
    static let lookLimit: Int64 = 20

    func settle(_ work: Work) async throws {
        var wire = line.wire
        wire.order = (work.outgoing.order.number, work.journey)
        let isOver = try await isOver(work)
        let found: TakenOrder?
        do { found = try await line.driver.find(work.outgoing, wire) } catch DriverFailure.refused(let reason) {
            if isOver || work.wasSent { try await giveUp(work, reason) }
            return
        } catch let failure as DriverFailure {
            if work.looks <= Self.patientLooks { throw failure }
            // The system is away, and this says so again; or this one question is what it cannot answer.
            try await demandThatItWorks(work, wire)
            if isOver, work.looks >= Self.lookLimit {
                try await giveUp(work, "система работает, но не отвечает, есть ли в ней этот заказ: \(failure.words)")
            }
            return
        }
        if var taken = found {
            // What a person has done with it there since, such as taking its posting back, stands.
            do { if !work.wasSent { taken = try await line.driver.complete(taken, wire) } } catch let failure
                as DriverFailure
            {
                // It is there, and what is still to be done with it does not come to an end: others have their turn, and then it is said.
                guard isOver else { return }
                taken.warning = failure.words
            }
            taken.wasThere = true
            return try await confirm(work, taken, wire.session, seconds: nil)
        }
        guard isOver else { return }
        if work.attempts >= Self.attemptLimit {
            return try await refuse(work, "на этот заказ система не ответила \(Self.attemptLimit) раз подряд")
        }
        try await mark(work, "ready", nil)
    }

    /// One that cannot be looked for stands aside; one that the base had taken is where it was, for nothing tells otherwise.
    private func giveUp(_ work: Work, _ reason: String) async throws {
        guard work.wasSent else { return try await refuse(work, reason) }
        try await line.bus.pool.query(
            "UPDATE order_out SET state = 'sent', reason = $2, ask_at = now() WHERE id = $1 AND state = 'doubtful'",
            [.id(work.id), .text("не удалось проверить, есть ли заказ в 1С: \(reason)")])
    }

    /// Whether the system cannot be busy with it any more: until then an order that is not there may still come.
    private func isOver(_ work: Work) async throws -> Bool {
        let patience =
            line.base.driver == .odata
            ? max(line.base.settleSeconds, line.base.timeoutSeconds) : line.base.settleSeconds
        return try await !line.bus.pool.query(
            """
            SELECT 1 AS one FROM order_out WHERE id = $1 AND state = 'doubtful'
                AND doubtful_since < now() - make_interval(secs => $2::int)
            """, [.id(work.id), .int(patience)]
        ).isEmpty
    }

    /// Times that an order is given before it stands aside: it may be what the system chokes on.
    static let attemptLimit: Int64 = 5
}
