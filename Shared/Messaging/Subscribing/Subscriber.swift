import Logging
import Postgres
import Primitives
import Synchronization

/// Runs the state machine of one stream against the sockets and the database.
final class Subscriber: Sendable {
    enum Input: Sendable {
        case heard(Inbound)
        case decided(Settling, @Sendable (Result<Void, any Error>) -> Void)

        var byteCount: Int { if case .heard(let inbound) = self { inbound.byteCount } else { 0 } }
    }
    /// A person's decision on its way.
    struct Settling: Sendable {
        let id = ID.make()
        let decision: StreamDecision
        let by, reason: String
    }

    let stream: StreamName
    let applier: Applier
    let pool: PostgresPool
    let log: Logger
    let checkpoint: Checkpoint
    private let post: @Sendable (BusThread.Command) -> Void
    private let isDiskLow: @Sendable () -> Bool
    private let turns: @Sendable () -> Int
    private let name: String
    private let inputs = InputQueue<Input>(limit: 1024, bytes: 16 * 1024 * 1024) { $0.byteCount }
    private let report = Mutex(SubscriptionStatus())
    let watch: HandlingWatch
    private let settling = Mutex<Settling?>(nil)
    private let effectsStanding = Mutex(EffectsStanding())
    private let start = ContinuousClock.now

    /// Events of one transaction at most.
    static let batchLimit = 500
    /// Attempts before an event that fails for good is parked, and times that it may be begun when the process dies of it.
    static let attemptLimit = 5
    static let deathLimit = 3

    init(
        name: String, stream: StreamName, applier: Applier, pool: PostgresPool, log: Logger, checkpoint: Checkpoint,
        watch: HandlingWatch, isDiskLow: @escaping @Sendable () -> Bool, turns: @escaping @Sendable () -> Int,
        post: @escaping @Sendable (BusThread.Command) -> Void
    ) {
        self.name = name
        self.stream = stream
        self.applier = applier
        self.pool = pool
        self.log = log
        self.checkpoint = checkpoint
        self.watch = watch
        self.isDiskLow = isDiskLow
        self.turns = turns
        self.post = post
        report.withLock { $0.name(stream) }
    }

    func receive(_ input: Inbound) { inputs.push(.heard(input)) }

    /// Carries out a person's decision; returns when it has begun, its end is seen in the status.
    func decide(_ decision: StreamDecision, by: String, reason: String) async throws {
        try await withCheckedThrowingContinuation { continuation in
            let settling = Settling(decision: decision, by: by, reason: reason)
            if !inputs.push(.decided(settling) { continuation.resume(with: $0) }) {
                continuation.resume(throwing: PostgresError.poolExhausted(waitedSeconds: 0))
            }
        }
    }

    var status: SubscriptionStatus {
        var status = report.withLock { $0 }
        status.dropped = inputs.dropped
        return status
    }

    func run() async {
        guard let (cursor, isPaused) = await readCursor() else { return }
        var machine = SubscriptionMachine(durable: cursor, now: now)
        if isPaused { machine.pause() }
        // What killed the process before this one, if anything did, is among the events of one transaction: they are done one
        // by one.
        let worker = ID.make()
        var caution = await beginsAfterDeath(worker) ? Self.batchLimit : 0
        var positionSaid = now
        var positionOf: Int64 = -1
        var meter = RateMeter()
        var pace = RefillPace()
        var turn = turns()
        while !Task.isCancelled {
            if turns() != turn {
                // The server may have fallen back behind what was committed without a flush: the cursor tells.
                turn = turns()
                await startAgain(&machine)
            }
            for input in await inputs.next(seconds: machine.readyCount > 0 ? 0 : 0.2) {
                switch input {
                case .heard(let inbound): await perform(handle(inbound, &machine), &machine)
                case .decided(let settling, let answer): await decide(settling, answer, &machine)
                }
            }
            await perform(machine.tick(now: now), &machine)
            let before = machine.durable.seq
            pace.saw(head: machine.head, now: now)
            await applyNext(&machine, &caution, isGentle: pace.isGentle(behind: machine.head - machine.durable.seq))
            meter.count(machine.durable.seq - before, now: now)
            if now - positionSaid > (machine.durable.seq == positionOf ? 5 : 1) {
                positionSaid = now
                positionOf = machine.durable.seq
                say(
                    "POS",
                    Position(from: name, stream: stream.stream, lane: stream.lane, seq: machine.durable.seq))
            }
            note(machine, meter)
        }
        // Not in this task, which is cancelled: its own statements would be refused.
        await Task { try? await applier.rest(worker, pool) }.value
    }

    private func beginsAfterDeath(_ worker: ID) async -> Bool {
        var backoff = Backoff()
        while !Task.isCancelled {
            do { return try await applier.begin(worker, pool) } catch {
                try? await Task.sleep(for: .seconds(backoff.next()))
            }
        }
        return true
    }

    private func handle(_ input: Inbound, _ machine: inout SubscriptionMachine) -> [SubscriptionMachine.Action] {
        checkpoint(.received)
        return switch input {
        case .events(let batch): machine.events(batch, now: now)
        case .page(let batch): machine.page(batch, now: now)
        case .beacon(let beacon): machine.beacon(beacon, now: now)
        case .welcome(let welcome): machine.welcome(welcome, now: now)
        case .control(let control, _): machine.control(control, now: now)
        case .hello, .pullPage, .position: []
        }
    }

    private func decide(
        _ settling: Settling, _ answer: @Sendable (Result<Void, any Error>) -> Void,
        _ machine: inout SubscriptionMachine
    ) async {
        do {
            // A pause is durable before it is one; a resume before it goes on.
            var copy = machine
            let actions = try copy.decide(settling.decision, now: now)
            switch settling.decision {
            case .pause: try await applier.note(settling, pausedBy: settling.by)
            case .resume, .retry: try await applier.note(settling, pausedBy: nil)
            case .heal, .acceptLoss, .bootstrap: self.settling.withLock { $0 = settling }
            }
            machine = copy
            await perform(actions, &machine)
            let phase = machine.phase.words
            report.withLock { $0.phase = phase }
            answer(.success(()))
        } catch {
            answer(.failure(error))
        }
    }

    func perform(_ actions: [SubscriptionMachine.Action], _ machine: inout SubscriptionMachine) async {
        for action in actions {
            do {
                switch action {
                case .sendHello(let cursor):
                    say(
                        "HELLO",
                        Hello(
                            from: name, stream: stream.stream, lane: stream.lane, epoch: cursor.epoch,
                            seq: cursor.seq, link: cursor.link))
                case .askPage(let seq):
                    say("PULLPAGE", PullPage(from: name, stream: stream.stream, lane: stream.lane, seq: seq))
                case .reconnect: post(.reconnect(peer: stream.publisher))
                case .alarm(let words):
                    report.withLock { $0.lastAlarm = words }
                    log.error("stream alarm", metadata: ["stream": "\(stream)", "what": "\(words)"])
                case .findCopy(let seq):
                    let link = try await applier.copyLink(seq, pool)
                    await perform(machine.copyFound(seq, link, now: now), &machine)
                case .sendCopies(let seq):
                    let bodies = try await applier.copies(from: seq, upTo: machine.durable.seq, pool)
                    if bodies.isEmpty {
                        await perform(machine.copiesEnded(now: now), &machine)
                    } else {
                        tell(.copies, seq: seq, bodies)
                    }
                case .askSnapshot: tell(.snapshot, seq: machine.durable.seq)
                case .settle(_, let place): try await settle(at: place, &machine)
                }
            } catch {
                log.warning("a step waits", metadata: ["stream": "\(stream)", "reason": "\(error)"])
            }
        }
    }

    private func settle(at place: SubscriptionMachine.Cursor, _ machine: inout SubscriptionMachine) async throws {
        guard let settling = settling.withLock({ $0 }) else { return }
        do { try await applier.settle(settling, from: machine.durable, to: place) } catch {
            // A COMMIT whose answer was lost: asked again, the cursor is no longer where we left it.
            guard try await applier.isRecorded(settling.id, pool) else { throw error }
        }
        self.settling.withLock { $0 = nil }
        if let (cursor, _) = await readCursor() { await perform(machine.restart(from: cursor, now: now), &machine) }
    }

    private func say(_ kind: String, _ header: some Encodable, _ bodies: [[UInt8]] = []) {
        if let frames = try? Wire.letter(kind, header, bodies) { post(.letter(to: stream.publisher, frames)) }
    }

    private func tell(_ what: Control.What, seq: Int64, _ bodies: [[UInt8]] = []) {
        say("CTL", Control(from: name, stream: stream.stream, lane: stream.lane, what: what, seq: seq), bodies)
    }

    private func applyNext(_ machine: inout SubscriptionMachine, _ caution: inout Int, isGentle: Bool) async {
        let batch = machine.batch(limit: caution > 0 ? 1 : isGentle ? RefillPace.step : Self.batchLimit)
        guard !batch.isEmpty else { return }
        let begun = now
        if stream.lane == .bulk, isDiskLow() {
            // Room is left for `main`: a bulk transaction a second.
            try? await Task.sleep(for: .seconds(1))
        }
        if caution > 0 {
            caution -= 1
            await applyAlone(batch[0], &machine)
        } else {
            await apply(batch, &machine)
        }
        if isGentle { try? await Task.sleep(for: .seconds(RefillPace.pause(after: now - begun))) }
    }

    /// From the durable place, as the database tells it.
    func startAgain(_ machine: inout SubscriptionMachine) async {
        guard let (cursor, isPaused) = await readCursor() else { return }
        await perform(machine.restart(from: cursor, now: now), &machine)
        if isPaused { machine.pause() }
    }

    var standing: EffectsStanding { effectsStanding.withLock { $0 } }

    /// The durable place; nil when cancelled.
    func readCursor() async -> (place: SubscriptionMachine.Cursor, isPaused: Bool)? {
        var backoff = Backoff()
        while !Task.isCancelled {
            do {
                let cursor = try await applier.cursor(pool)
                let standing = try await applier.effectsStanding(pool)
                effectsStanding.withLock { $0 = standing }
                return cursor
            } catch { try? await Task.sleep(for: .seconds(backoff.next())) }
        }
        return nil
    }

    var now: Double { start.duration(to: .now).seconds }

    private func note(_ machine: SubscriptionMachine, _ meter: RateMeter) {
        report.withLock { $0.note(machine, meter, now: now) }
    }
}
