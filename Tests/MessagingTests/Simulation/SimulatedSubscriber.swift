@testable import Messaging

/// A subscriber as the real shell runs the machine: effects and cursor are one durable transaction, which may fail, or end
/// with an outcome that the process does not learn.
struct SimulatedSubscriber {
    enum CommitFault { case none, fails, happensUnseen, isLostUnseen }

    private(set) var cursor = SubscriptionMachine.Cursor()
    private(set) var effects: [String] = []
    /// Copies of what was taken, by number; and those beyond a fork, whose effects stand.
    private var copies: [Int64: SubscriptionMachine.Event] = [:]
    private(set) var forked: Set<String> = []
    private(set) var machine: SubscriptionMachine
    private(set) var awayUntil = 0.0

    init() { machine = SubscriptionMachine(durable: .init(), now: 0) }

    func isAway(_ now: Double) -> Bool { now < awayUntil }

    mutating func take(_ inbound: Inbound, now: Double) -> [SubscriptionMachine.Action] {
        switch inbound {
        case .events(let batch): machine.events(batch, now: now)
        case .page(let batch): machine.page(batch, now: now)
        case .beacon(let beacon): machine.beacon(beacon, now: now)
        case .welcome(let welcome): machine.welcome(welcome, now: now)
        case .control(let control, _): machine.control(control, now: now)
        default: []
        }
    }

    mutating func tick(now: Double) -> [SubscriptionMachine.Action] { machine.tick(now: now) }

    /// One transaction over what is ready.
    mutating func apply(limit: Int, _ fault: CommitFault, now: Double) -> [SubscriptionMachine.Action] {
        let batch = machine.batch(limit: limit)
        guard let last = batch.last else { return [] }
        if fault == .none || fault == .happensUnseen {
            // The cursor is locked and compared first, as the real transaction does.
            guard cursor.seq == machine.durable.seq, cursor.link == machine.durable.link else {
                return machine.restart(from: cursor, now: now)
            }
            effects += batch.map { String(decoding: $0.body, as: UTF8.self) }.filter { !forked.contains($0) }
            for event in batch { copies[event.seq] = event }
            cursor = .init(epoch: machine.accepted.epoch, seq: last.seq, link: last.link)
        }
        if fault == .none {
            machine.applied(batch)
            return []
        }
        return machine.restart(from: cursor, now: now)
    }

    mutating func crash(until: Double) {
        awayUntil = max(awayUntil, until)
        machine = SubscriptionMachine(durable: cursor, now: until)
    }

    mutating func decide(_ decision: StreamDecision, now: Double) -> [SubscriptionMachine.Action] {
        (try? machine.decide(decision, now: now)) ?? []
    }

    /// What the shell does with the database for an action; the actions that follow.
    mutating func does(_ action: SubscriptionMachine.Action, now: Double) -> [SubscriptionMachine.Action] {
        switch action {
        case .findCopy(let seq): return machine.copyFound(seq, copies[seq]?.link, now: now)
        case .settle(_, let place):
            for (seq, event) in copies where seq > place.seq {
                forked.insert(String(decoding: event.body, as: UTF8.self))
                copies[seq] = nil
            }
            cursor = place
            return machine.restart(from: place, now: now)
        default: return []
        }
    }

    func says(_ action: SubscriptionMachine.Action) -> Inbound? {
        switch action {
        case .sendHello(let cursor):
            .hello(
                Hello(
                    from: "s", stream: "p", lane: .main, epoch: cursor.epoch, seq: cursor.seq, link: cursor.link))
        case .askPage(let seq): .pullPage(PullPage(from: "s", stream: "p", lane: .main, seq: seq))
        case .sendCopies(let seq):
            .control(
                Control(from: "s", stream: "p", lane: .main, what: .copies, seq: seq),
                bodies: (seq...max(seq, cursor.seq)).prefix(EventBatch.pageCount).compactMap { copies[$0]?.body })
        case .reconnect, .alarm, .findCopy, .settle, .askSnapshot: nil
        }
    }
}
