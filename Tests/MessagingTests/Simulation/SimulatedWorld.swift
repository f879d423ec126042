@testable import Messaging

/// One seeded run: a publisher, a subscriber, a network and time, with faults between any two steps; then everything is
/// mended and drained, and the oracle looks.
struct SimulatedWorld {
    let seed: UInt64
    private var random: SeededRandom
    private var now = 0.0
    private var publisher = SimulatedPublisher()
    private var subscriber = SimulatedSubscriber()
    private var network = SimulatedNetwork()
    private var committed: [SimulatedPublisher.Said] = []
    private(set) var story: [String] = []

    /// How likely each fault is in this run; a seed is calm in some ways and wild in others.
    private let wildness: Double
    private let applyLimit: Int

    init(seed: UInt64) {
        self.seed = seed
        var random = SeededRandom(seed: seed)
        wildness = random.chance(0.2) ? 0 : random.seconds(0.001...0.08)
        applyLimit = random.pick(1...100)
        network.loss = random.chance(0.3) ? 0 : random.seconds(0...0.5)
        network.repeats = random.seconds(0...0.3)
        network.delay = random.chance(0.5) ? 0.01 : random.seconds(0.01...2)
        self.random = random
    }

    /// What went wrong; nil when nothing was lost, doubled, put out of order or made up.
    mutating func run(steps: Int) -> String? {
        for _ in 0..<steps { step(withFaults: true) }
        network.heal()
        tell("everything is mended")
        let end = now + 120
        while now < end, !isDrained { step(withFaults: false) }
        return verdict()
    }

    private var isDrained: Bool {
        publisher.pending.isEmpty && subscriber.cursor.seq == publisher.head.seq && subscriber.machine.readyCount == 0
            && !publisher.isAway(now) && !subscriber.isAway(now)
    }

    private mutating func tell(_ what: @autoclosure () -> String) {
        story.append("\(Int(now * 1000)) ms: \(what())")
    }

    private mutating func step(withFaults: Bool) {
        now += random.chance(withFaults ? 0.01 : 0) ? random.seconds(1...10) : random.seconds(0.0005...0.05)
        if withFaults {
            faults()
            if random.chance(0.4) { speak() }
        }
        for letter in network.arrived(by: now) { deliver(letter) }
        if !publisher.isAway(now) {
            let dies = withFaults && random.chance(wildness)
            for live in publisher.stamp(limit: random.pick(1...300), diesBeforePublishing: dies) {
                network.send(.toSubscriber(live), now: now, &random)
            }
            if dies { crashPublisher("after it numbered and before it published") }
            if let beacon = publisher.beacon(now: now) { network.send(.toSubscriber(beacon), now: now, &random) }
        }
        if !subscriber.isAway(now) {
            perform(subscriber.tick(now: now))
            let fault: SimulatedSubscriber.CommitFault =
                withFaults && random.chance(wildness)
                ? [.fails, .happensUnseen, .isLostUnseen][random.pick(0...2)] : .none
            if fault != .none { tell("a transaction of the subscriber: \(fault)") }
            perform(subscriber.apply(limit: applyLimit, fault, now: now))
        }
    }

    private mutating func speak() {
        for _ in 0..<random.pick(1...5) {
            let said = SimulatedPublisher.Said(key: "k\(random.pick(1...4))", value: committed.count)
            committed.append(said)
            publisher.commit(said)
        }
    }

    private mutating func faults() {
        if random.chance(wildness * 0.3) { crashPublisher("between two steps") }
        if random.chance(wildness * 0.3) {
            tell("the subscriber dies")
            subscriber.crash(until: now + random.seconds(0.01...5))
            network.dropAll(toSubscriber: true)
        }
        if random.chance(wildness * 0.3) {
            let (a, b) = (random.chance(0.7), random.chance(0.7))
            let end = now + random.seconds(0.1...8)
            tell("the network is cut \(a ? "towards the subscriber " : "")\(b ? "towards the publisher" : "")")
            network.cut(toSubscriber: a ? end : 0, toPublisher: b ? end : 0)
        }
    }

    private mutating func crashPublisher(_ moment: String) {
        tell("the publisher dies \(moment)")
        publisher.crash(until: now + random.seconds(0.01...5))
        network.dropAll(toSubscriber: false)
    }

    private mutating func deliver(_ letter: Letter) {
        switch letter {
        case .toSubscriber(let inbound):
            if !subscriber.isAway(now) { perform(subscriber.take(inbound, now: now)) }
        case .toPublisher(let inbound):
            guard !publisher.isAway(now), let answer = publisher.answer(inbound) else { return }
            network.send(.toSubscriber(answer), now: now, &random)
        }
    }

    private mutating func perform(_ actions: [SubscriptionMachine.Action]) {
        for action in actions {
            if case .alarm(let words) = action { tell("alarm: \(words)") }
            if let letter = subscriber.says(action) { network.send(.toPublisher(letter), now: now, &random) }
            perform(subscriber.does(action, now: now))
        }
    }

    private func verdict() -> String? {
        let said = committed.map { String(decoding: $0.body, as: UTF8.self) }
        let effects = subscriber.effects
        if case .stopped(let stop) = subscriber.machine.phase { return "the stream stopped: \(stop.words)" }
        let lost = Set(said).subtracting(effects).count
        let unexpected = Set(effects).subtracting(said).count
        guard effects.count == Set(effects).count else { return "\(effects.count - Set(effects).count) doubled" }
        guard lost == 0, unexpected == 0 else {
            return "\(lost) lost, \(unexpected) unexpected; \(subscriber.machine.phase)"
        }
        for key in 1...4 {
            let prefix = "k\(key)/"
            guard effects.filter({ $0.hasPrefix(prefix) }) == said.filter({ $0.hasPrefix(prefix) }) else {
                return "the order of \(prefix) was not kept"
            }
        }
        return nil
    }

    /// An older copy of the publisher's database is put back under a subscriber that is ahead of it: the stream must stop
    /// visibly before anything of another history is taken, and a person's decision must bring it on.
    mutating func runWithRestore(steps: Int, _ decision: StreamDecision) -> String? {
        (network.loss, network.repeats) = (0, 0)
        for _ in 0..<steps {
            speak()
            step(withFaults: false)
        }
        let end = now + 60
        while now < end, !isDrained { step(withFaults: false) }
        let taken = subscriber.effects
        // Its terms went on from an older one: the new one may be above, below or just the one that is known.
        let term = publisher.head.term + Int64(random.pick(-1...1))
        publisher.restore(losing: random.pick(1...taken.count), inTerm: max(1, term))
        tell("the publisher lost its last events")
        let kept = Set(publisher.log.map { String(decoding: $0.body, as: UTF8.self) })
        for _ in 0..<random.pick(0...20) {
            publisher.commit(.init(key: "k1", value: committed.count))
            committed.append(.init(key: "k1", value: committed.count))
        }
        let later = now + 30
        while now < later { step(withFaults: false) }
        guard case .stopped(.forked) = subscriber.machine.phase else {
            return "it did not stop: \(subscriber.machine.phase)"
        }
        guard subscriber.effects == taken else { return "something of another history was taken" }
        settle(decision)
        let lost = Set(taken).subtracting(kept)
        let log = Set(publisher.log.map { String(decoding: $0.body, as: UTF8.self) })
        switch decision {
        case .heal where !lost.isSubset(of: log): return "the log was not refilled"
        case .acceptLoss where !lost.isDisjoint(with: log) || !lost.isSubset(of: subscriber.forked):
            return "what was lost was not kept apart"
        default: return verdict()
        }
    }

    /// Decides, on a network that loses and repeats and with a subscriber that may die, and again when it was for nothing.
    private mutating func settle(_ decision: StreamDecision) {
        (network.loss, network.repeats) = (random.seconds(0...0.3), random.seconds(0...0.3))
        let end = now + 300
        while now < end {
            if case .stopped = subscriber.machine.phase {
                tell("a person decides: \(decision.rawValue)")
                perform(subscriber.decide(decision, now: now))
            }
            if random.chance(0.001) { subscriber.crash(until: now + 1) }
            step(withFaults: false)
            if isDrained, subscriber.machine.phase == .live { return }
        }
    }
}
