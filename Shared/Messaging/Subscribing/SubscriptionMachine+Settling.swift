/// What a person decides about a stream that has stopped.
public enum StreamDecision: String, Codable, Sendable, CaseIterable {
    /// FORKED: our copies refill the publisher; then everything beyond the last common event is taken again.
    case heal
    /// FORKED or HOLE: what the publisher has is the truth; what is lost is recorded.
    case acceptLoss = "accept-loss"
    /// HOLE: the publisher says its present state as events, and we go on from there.
    case bootstrap
    /// QUARANTINED, or whatever else: ask the publisher again.
    case retry
    case pause, resume
}

/// Carrying out a decision. The last common event is found by halving: each question is a HELLO for one of our copies.
extension SubscriptionMachine {
    typealias Decision = StreamDecision

    struct Settlement: Equatable, Sendable {
        enum Step: Equatable, Sendable {
            /// The common event is at `low` or later and before `high`.
            case searching(asked: Int64)
            case copying(from: Int64)
            case snapshot
            /// The shell moves the cursor.
            case moving(Cursor)
        }
        let decision: Decision
        /// The stop that is being settled; it stands again when the publisher refuses.
        let stop: Stop
        var low = Cursor()
        var high: Int64
        /// The link of our copy of what is asked about.
        var asked = Link.zero
        var step: Step
        var askedAt: Double
    }

    /// Seconds until a question of a settlement is asked again.
    static let settlingPause = 2.0

    /// - Throws: words that say why the decision does not fit the stream's state.
    mutating func decide(_ decision: Decision, now: Double) throws(DecisionRefused) -> [Action] {
        switch (decision, phase) {
        case (.pause, .hello), (.pause, .syncing), (.pause, .live):
            pause()
            return []
        case (.resume, .paused): return restart(from: durable, now: now)
        case (.retry, .stopped):
            term = 0
            return restart(from: durable, now: now)
        case (.heal, .stopped(let stop)) where stop.isFork, (.acceptLoss, .stopped(let stop)) where !stop.isQuarantine:
            phase = .settling(
                Settlement(
                    decision: decision, stop: stop, high: durable.seq + 1, step: .searching(asked: durable.seq),
                    askedAt: now))
            return [.findCopy(durable.seq)]
        case (.bootstrap, .stopped(let stop)) where stop.isHole:
            phase = .settling(Settlement(decision: decision, stop: stop, high: 0, step: .snapshot, askedAt: now))
            return [.askSnapshot]
        default:
            throw DecisionRefused(decision: decision, phase: phase.words)
        }
    }

    /// Our copy of `seq`, looked up; nil when there is none, so that nothing at or below it can be compared.
    mutating func copyFound(_ seq: Int64, _ link: Link?, now: Double) -> [Action] {
        guard case .settling(var settlement) = phase, case .searching(asked: seq) = settlement.step else { return [] }
        let known = seq == durable.seq ? durable.link : link
        guard let known else {
            settlement.low.seq = seq
            settlement.low.epoch = Self.unknownPlace
            return next(settlement, now: now)
        }
        settlement.askedAt = now
        settlement.asked = known
        phase = .settling(settlement)
        return [.sendHello(Cursor(epoch: durable.epoch, seq: seq, link: known))]
    }

    /// Marks a lower bound below which we keep no copies: it was not found equal, only not found.
    private static let unknownPlace: Int64 = -1

    mutating func settlementAnswer(_ settlement: Settlement, _ welcome: Welcome, now: Double) -> [Action] {
        guard case .searching(let asked) = settlement.step, welcome.seq == asked else { return [] }
        var settlement = settlement
        head = welcome.head
        term = welcome.term
        switch welcome.status {
        case .match:
            settlement.low = Cursor(epoch: welcome.epoch, seq: asked, link: settlement.asked)
        case .ahead: settlement.high = min(asked, welcome.head + 1)
        case .diverged: settlement.high = asked
        case .expired:
            guard let link = welcome.beforeOldest else { return [] }
            return settle(settlement, at: Cursor(epoch: welcome.epoch, seq: welcome.oldest - 1, link: link), now: now)
        }
        return next(settlement, now: now)
    }

    private mutating func next(_ settlement: Settlement, now: Double) -> [Action] {
        var settlement = settlement
        settlement.askedAt = now
        guard settlement.high - settlement.low.seq > 1 else {
            if settlement.low.epoch == Self.unknownPlace {
                // Asked below everything it keeps, the publisher tells where its log begins.
                settlement.low = Cursor()
                settlement.step = .searching(asked: -1)
                phase = .settling(settlement)
                return [.sendHello(Cursor(epoch: 0, seq: -1, link: .zero))]
            }
            return settle(settlement, at: settlement.low, now: now)
        }
        let middle = settlement.low.seq + (settlement.high - settlement.low.seq) / 2
        settlement.step = .searching(asked: middle)
        phase = .settling(settlement)
        return [.findCopy(middle)]
    }

    private mutating func settle(_ settlement: Settlement, at place: Cursor, now: Double) -> [Action] {
        var settlement = settlement
        settlement.low = place
        settlement.askedAt = now
        if settlement.decision == .heal, place.seq < durable.seq {
            settlement.step = .copying(from: place.seq + 1)
            phase = .settling(settlement)
            return [.sendCopies(from: place.seq + 1)]
        }
        settlement.step = .moving(place)
        phase = .settling(settlement)
        return [.settle(settlement.decision, at: place)]
    }

    mutating func control(_ control: Control, now: Double) -> [Action] {
        heard(now)
        guard case .settling(var settlement) = phase else { return [] }
        settlement.askedAt = now
        if control.what == .refused {
            phase = .stopped(settlement.stop)
            return [.alarm("\(settlement.decision.rawValue) was refused: \(control.reason ?? "without a reason")")]
        }
        switch (settlement.step, control.what) {
        case (.copying(let from), .copied) where control.seq >= from:
            guard control.seq < durable.seq else {
                settlement.step = .moving(settlement.low)
                phase = .settling(settlement)
                return [.settle(settlement.decision, at: settlement.low)]
            }
            settlement.step = .copying(from: control.seq + 1)
            phase = .settling(settlement)
            return [.sendCopies(from: control.seq + 1)]
        case (.snapshot, .snapshotting):
            guard let link = control.link, let epoch = control.epoch else { return [] }
            let place = Cursor(epoch: epoch, seq: control.seq, link: link)
            settlement.step = .moving(place)
            phase = .settling(settlement)
            return [.settle(settlement.decision, at: place)]
        default: return []
        }
    }

    /// We keep no copies from where the next page would begin: what there was is sent.
    mutating func copiesEnded(now: Double) -> [Action] {
        guard case .settling(var settlement) = phase, case .copying = settlement.step else { return [] }
        settlement.askedAt = now
        settlement.step = .moving(settlement.low)
        phase = .settling(settlement)
        return [.settle(settlement.decision, at: settlement.low)]
    }

    /// Asks again what was not answered.
    mutating func settlingTick(now: Double) -> [Action] {
        guard case .settling(var settlement) = phase, now - settlement.askedAt >= Self.settlingPause else { return [] }
        settlement.askedAt = now
        phase = .settling(settlement)
        return switch settlement.step {
        case .searching(let asked) where asked < 0: [.sendHello(Cursor(epoch: 0, seq: -1, link: .zero))]
        case .searching(let asked): [.findCopy(asked)]
        case .copying(let from): [.sendCopies(from: from)]
        case .snapshot: [.askSnapshot]
        case .moving(let place): [.settle(settlement.decision, at: place)]
        }
    }
}

extension SubscriptionMachine.Stop {
    var isFork: Bool { if case .forked = self { true } else { false } }
    var isHole: Bool { if case .hole = self { true } else { false } }
    var isQuarantine: Bool { if case .quarantined = self { true } else { false } }
}

/// A decision that does not fit the stream's state.
public struct DecisionRefused: Error, CustomStringConvertible {
    let decision: StreamDecision
    let phase: String
    public var description: String { "«\(decision.rawValue)» does not fit a stream that is \(phase)" }
}
