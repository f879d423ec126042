@testable import Messaging

/// A subscriber as the real shell runs the machine: effects and cursor are one durable transaction, which may fail, or end
/// with an outcome that the process does not learn.
struct SimulatedSubscriber {
    enum CommitFault { case none, fails, happensUnseen, isLostUnseen }

    private(set) var cursor = SubscriptionMachine.Cursor()
    private(set) var effects: [String] = []
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
            effects += batch.map { String(decoding: $0.body, as: UTF8.self) }
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

    func says(_ action: SubscriptionMachine.Action) -> Inbound? {
        switch action {
        case .sendHello(let cursor):
            .hello(
                Hello(
                    from: "s", stream: "p", lane: .main, epoch: cursor.epoch, seq: cursor.seq, link: cursor.link))
        case .askPage(let seq): .pullPage(PullPage(from: "s", stream: "p", lane: .main, seq: seq))
        case .reconnect, .alarm: nil
        }
    }
}
