import Postgres
import Primitives

/// From checked events to effects, and what is done with those that fail.
extension Subscriber {
    func apply(_ batch: [SubscriptionMachine.Event], _ machine: inout SubscriptionMachine) async {
        do {
            let (from, epoch) = (machine.durable, machine.accepted.epoch)
            try await watch.timed("\(stream)") {
                try await applier.apply(batch, from: from, epoch: epoch, standing: standing)
            }
            machine.applied(batch)
        } catch {
            if await isPassing(error, &machine) { return }
            // A failed batch is done again one by one; what fails for good is parked, what fails for now waits.
            for event in batch where !Task.isCancelled {
                guard await applyOne(event, &machine) else { return }
            }
        }
    }

    /// Handles one event behind a mark: when the process dies of it, the mark tells. What merely waits for better times is not
    /// counted.
    func applyAlone(_ event: SubscriptionMachine.Event, _ machine: inout SubscriptionMachine) async {
        do {
            let begun = try await applier.mark(event.seq, pool)
            guard begun <= Self.deathLimit else {
                _ = await park(event, Died(times: begun - 1), begun - 1, &machine)
                return
            }
            if await !applyOne(event, &machine) { try await applier.unmark(event.seq, pool) }
        } catch {
            _ = await isPassing(error, &machine)
        }
    }

    private struct Died: Error, CustomStringConvertible {
        let times: Int
        var description: String { "the process ended \(times) times while it handled this event" }
    }

    /// False when the stream waits, or starts again from the durable place.
    private func applyOne(_ event: SubscriptionMachine.Event, _ machine: inout SubscriptionMachine) async -> Bool {
        var attempt = 1
        while !Task.isCancelled {
            do {
                let (from, epoch) = (machine.durable, machine.accepted.epoch)
                try await watch.timed("\(stream)") {
                    try await applier.apply(
                        [event], from: from, epoch: epoch, standing: standing, isAlone: true)
                }
                machine.applied([event])
                return true
            } catch {
                if await isPassing(error, &machine) { return false }
                guard attempt >= Self.attemptLimit || error is Parked else {
                    attempt += 1
                    try? await Task.sleep(for: .milliseconds(20 << attempt))
                    continue
                }
                return await park(event, error, attempt, &machine)
            }
        }
        return false
    }

    private func park(
        _ event: SubscriptionMachine.Event, _ error: any Error, _ attempts: Int,
        _ machine: inout SubscriptionMachine
    ) async -> Bool {
        log.error("event parked", metadata: ["at": "\(stream)#\(event.seq)", "reason": "\(error)"])
        do {
            try await applier.park(
                event, from: machine.durable, epoch: machine.accepted.epoch, attempts: attempts, reason: "\(error)")
            machine.applied([event])
            return true
        } catch {
            _ = await isPassing(error, &machine)
            return false
        }
    }

    /// Whether the same may succeed later. Then it also waits, and after an unknown COMMIT or a moved cursor
    /// starts again from what the database says.
    private func isPassing(_ error: any Error, _ machine: inout SubscriptionMachine) async -> Bool {
        if error is CancellationError { return true }
        let moved = error is CursorMoved
        guard moved || (error as? PostgresError)?.isTransient == true else { return false }
        if !moved {
            log.warning("stream waits", metadata: ["stream": "\(stream)", "reason": "\(error)"])
            try? await Task.sleep(for: .milliseconds(200))
        }
        await startAgain(&machine)
        return true
    }
}
