import Logging
import Postgres
import Primitives
import Synchronization

/// Runs the state machine of one stream against the sockets and the database.
final class Subscriber: Sendable {
    let stream: StreamName
    private let applier: Applier
    private let pool: PostgresPool
    private let post: @Sendable (BusThread.Command) -> Void
    private let name: String
    private let log: Logger
    private let inputs = InputQueue<Inbound>(limit: 1024)
    private let report = Mutex(SubscriptionStatus())
    private let clock = ContinuousClock()
    private let start = ContinuousClock.now

    /// Events of one transaction at most.
    static let batchLimit = 100
    /// Attempts before an event that fails for good is parked.
    static let attemptLimit = 5

    init(
        name: String, stream: StreamName, applier: Applier, pool: PostgresPool, log: Logger,
        post: @escaping @Sendable (BusThread.Command) -> Void
    ) {
        self.name = name
        self.stream = stream
        self.applier = applier
        self.pool = pool
        self.log = log
        self.post = post
        report.withLock { $0.name(stream) }
    }

    func receive(_ input: Inbound) { inputs.push(input) }

    var status: SubscriptionStatus {
        var status = report.withLock { $0 }
        status.dropped = inputs.dropped
        return status
    }

    func run() async {
        guard let cursor = await readCursor() else { return }
        var machine = SubscriptionMachine(durable: cursor, now: now)
        var positionSaid = now
        while !Task.isCancelled {
            for input in await inputs.next(seconds: machine.readyCount > 0 ? 0 : 0.2) {
                perform(handle(input, &machine))
            }
            perform(machine.tick(now: now))
            await applyNext(&machine)
            if now - positionSaid > 5 {
                positionSaid = now
                let position = Position(
                    from: name, stream: stream.stream, lane: stream.lane, seq: machine.durable.seq)
                say("POS", position)
            }
            note(machine)
        }
    }

    private func handle(_ input: Inbound, _ machine: inout SubscriptionMachine)
        -> [SubscriptionMachine.Action]
    {
        switch input {
        case .events(let batch): machine.events(batch, now: now)
        case .page(let batch): machine.page(batch, now: now)
        case .beacon(let beacon): machine.beacon(beacon, now: now)
        case .welcome(let welcome): machine.welcome(welcome, now: now)
        case .hello, .pullPage, .position: []
        }
    }

    private func perform(_ actions: [SubscriptionMachine.Action]) {
        for action in actions {
            switch action {
            case .sendHello(let cursor):
                say(
                    "HELLO",
                    Hello(
                        from: name, stream: stream.stream, lane: stream.lane, epoch: cursor.epoch,
                        seq: cursor.seq, link: cursor.link))
            case .askPage(let seq):
                say(
                    "PULLPAGE",
                    PullPage(from: name, stream: stream.stream, lane: stream.lane, seq: seq))
            case .reconnect: post(.reconnect(peer: stream.publisher))
            case .alarm(let words):
                log.error("stream alarm", metadata: ["stream": "\(stream)", "what": "\(words)"])
            }
        }
    }

    private func say(_ kind: String, _ header: some Encodable) {
        if let frames = try? Wire.letter(kind, header) {
            post(.letter(to: stream.publisher, frames))
        }
    }

    private func applyNext(_ machine: inout SubscriptionMachine) async {
        let batch = machine.batch(limit: Self.batchLimit)
        guard !batch.isEmpty else { return }
        do {
            try await applier.apply(batch, from: machine.durable, epoch: machine.accepted.epoch)
            machine.applied(batch)
        } catch {
            await recover(error, batch, &machine)
        }
    }

    /// A failed batch is done again one by one; what fails for good is parked, what fails for now waits.
    private func recover(
        _ error: any Error, _ batch: [SubscriptionMachine.Event],
        _ machine: inout SubscriptionMachine
    ) async {
        if await isPassing(error, &machine) { return }
        for event in batch {
            var attempt = 1
            while !Task.isCancelled {
                do {
                    try await applier.apply(
                        [event], from: machine.durable, epoch: machine.accepted.epoch)
                    machine.applied([event])
                    break
                } catch {
                    if await isPassing(error, &machine) { return }
                    guard attempt >= Self.attemptLimit || error is Parked else {
                        attempt += 1
                        try? await Task.sleep(for: .milliseconds(20 << attempt))
                        continue
                    }
                    guard await park(event, error, attempt, &machine) else { return }
                    break
                }
            }
        }
    }

    private func park(
        _ event: SubscriptionMachine.Event, _ error: any Error, _ attempts: Int,
        _ machine: inout SubscriptionMachine
    ) async -> Bool {
        log.error(
            "event parked", metadata: ["at": "\(stream)#\(event.seq)", "reason": "\(error)"])
        do {
            try await applier.park(
                event, from: machine.durable, epoch: machine.accepted.epoch, attempts: attempts,
                reason: "\(error)")
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
            log.warning(
                "stream waits", metadata: ["stream": "\(stream)", "reason": "\(error)"])
            try? await Task.sleep(for: .milliseconds(200))
        }
        if let cursor = await readCursor() { perform(machine.restart(from: cursor, now: now)) }
        return true
    }

    private func readCursor() async -> SubscriptionMachine.Cursor? {
        var backoff = Backoff()
        while !Task.isCancelled {
            if let cursor = try? await applier.cursor(pool) { return cursor }
            try? await Task.sleep(for: .seconds(backoff.next()))
        }
        return nil
    }

    private var now: Double {
        let passed = clock.now - start
        return Double(passed.components.seconds) + Double(passed.components.attoseconds) / 1e18
    }

    private func note(_ machine: SubscriptionMachine) {
        report.withLock { status in
            status.phase = machine.phase.words
            status.seq = machine.durable.seq
            status.head = max(machine.head, machine.durable.seq)
            status.refilled = machine.refilled
            if case .stopped = machine.phase { status.stopped = true } else { status.stopped = false }
        }
    }
}

/// How far one subscription is, for status pages and metrics.
public struct SubscriptionStatus: Codable, Sendable {
    public var publisher = ""
    public var name = ""
    public var phase = "INIT"
    public var seq: Int64 = 0
    public var head: Int64 = 0
    public var refilled: Int64 = 0
    public var dropped = 0
    public var stopped = false
    public var lag: Int64 { head - seq }

    mutating func name(_ stream: StreamName) {
        publisher = stream.publisher
        name = stream.description
    }
}
