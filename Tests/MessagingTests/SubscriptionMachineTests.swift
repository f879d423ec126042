import Primitives
import Testing

@testable import Messaging

/// A publisher's log in memory, to cut batches from.
private struct Log {
    var bodies: [[UInt8]] = []
    var links: [Link] = [.zero]

    init(_ count: Int) { for index in 0..<count { add("event \(index)") } }

    mutating func add(_ text: String) {
        bodies.append(Array(text.utf8))
        links.append(links[links.count - 1].next(seq: Int64(bodies.count), body: bodies[bodies.count - 1]))
    }

    func batch(_ range: ClosedRange<Int>, head: Int? = nil, term: Int64 = 1) -> EventBatch {
        EventBatch(
            header: .init(
                stream: "a", lane: .main, epoch: 1, term: term, seq: Int64(range.lowerBound), n: range.count,
                head: Int64(head ?? range.upperBound), chainBefore: links[range.lowerBound - 1],
                chainAfter: links[range.upperBound]),
            bodies: Array(bodies[(range.lowerBound - 1)..<range.upperBound]))
    }

    func beacon(term: Int64 = 1) -> Beacon {
        Beacon(
            stream: "a", lane: .main, epoch: 1, term: term, head: Int64(bodies.count),
            headchain: links[bodies.count], oldest: 1, state: "ready")
    }

    /// - Parameter seq: the position that was asked about.
    func welcome(
        _ status: Welcome.Status = .match, of seq: Int64 = 0, oldest: Int64 = 1, term: Int64 = 1
    ) -> Welcome {
        Welcome(
            from: "a", stream: "a", lane: .main, status: status, seq: seq, epoch: 1, term: term,
            head: Int64(bodies.count), oldest: oldest)
    }
}

@Suite struct SubscriptionMachineTests {
    private func live(_ log: Log, at now: Double = 0) -> SubscriptionMachine {
        var machine = SubscriptionMachine(durable: .init(), now: now)
        _ = machine.tick(now: now)
        _ = machine.welcome(log.welcome(), now: now)
        return machine
    }

    @Test func anEventIsTakenOnceAndInOrder() {
        let log = Log(6)
        var machine = live(Log(0))
        _ = machine.events(log.batch(1...3), now: 0)
        _ = machine.events(log.batch(2...3), now: 0)
        _ = machine.events(log.batch(3...6), now: 0)
        #expect(machine.batch(limit: 100).map(\.seq) == [1, 2, 3, 4, 5, 6])
        #expect(machine.phase == .live)
    }

    @Test func aGapIsAskedForAndWhatCameAheadIsKept() {
        let log = Log(9)
        var machine = live(Log(0))
        _ = machine.events(log.batch(1...2), now: 0)
        #expect(machine.events(log.batch(6...9), now: 0) == [.askPage(from: 3)])
        #expect(machine.phase == .syncing)
        _ = machine.page(log.batch(3...5, head: 9), now: 0)
        #expect(machine.batch(limit: 100).map(\.seq) == Array(1...9))
        #expect(machine.phase == .live && machine.refilled == 7)
    }

    @Test func aLostTailIsRevealedByTheBeacon() {
        let log = Log(4)
        var machine = live(Log(0))
        #expect(machine.beacon(log.beacon(), now: 1) == [])
        #expect(machine.tick(now: 1.1) == [])
        #expect(machine.tick(now: 1.3) == [.askPage(from: 1)])
    }

    @Test func anotherHistoryStopsTheStreamVisibly() {
        var other = Log(2)
        other.add("another third")
        other.add("fourth")
        let log = Log(3)
        var machine = live(Log(0))
        _ = machine.events(log.batch(1...3), now: 0)
        machine.applied(machine.batch(limit: 9))
        // A live frame may be damaged: the log is asked, and what it says decides.
        _ = machine.events(other.batch(4...4), now: 0)
        #expect(machine.phase == .syncing && machine.accepted.seq == 3)
        _ = machine.page(other.batch(4...4), now: 0)
        guard case .stopped(.forked) = machine.phase else {
            Issue.record("not stopped")
            return
        }
        #expect(machine.durable.seq == 3 && machine.batch(limit: 9).isEmpty)
    }

    @Test func aStoppedStreamGoesOnByItselfOnceItsPlaceIsInTheLogAgain() {
        let log = Log(3)
        var machine = live(Log(0))
        _ = machine.events(log.batch(1...3), now: 0)
        machine.applied(machine.batch(limit: 9))
        _ = machine.restart(from: machine.durable, now: 0)
        _ = machine.welcome(Log(1).welcome(.ahead, of: 3), now: 0)
        #expect(machine.phase != .live)
        #expect(machine.tick(now: 6) == [.sendHello(machine.durable)])
        _ = machine.welcome(log.welcome(of: 3), now: 6)
        #expect(machine.phase == .live)
    }

    /// Cut off while its next events went beyond retention: asking for a page would be answered by nobody.
    @Test func whoIsCutOffBeyondRetentionFindsTheHoleWithoutHavingStartedAnew() {
        var machine = live(Log(0))
        let beacon = Beacon(
            stream: "a", lane: .main, epoch: 1, term: 1, head: 9, headchain: Log(9).links[9], oldest: 5, state: "ready")
        #expect(machine.beacon(beacon, now: 1) == [.sendHello(.init())])
        _ = machine.welcome(Log(9).welcome(.expired, oldest: 5), now: 1)
        #expect(machine.phase == .stopped(.hole(oldest: 5)))
    }

    /// An older copy in a term that is known already: one low beacon may be an old one, a lasting one is asked about.
    @Test func aPublisherThatLastinglyTellsOfLessThanWeHaveIsAskedWhereItIs() {
        let log = Log(3)
        var machine = live(Log(0))
        _ = machine.events(log.batch(1...3), now: 0)
        machine.applied(machine.batch(limit: 9))
        #expect(machine.beacon(Log(1).beacon(), now: 1).isEmpty && machine.phase == .live)
        #expect(machine.beacon(Log(1).beacon(), now: 2).isEmpty)
        #expect(machine.beacon(Log(1).beacon(), now: 3) == [.sendHello(machine.durable)])
        _ = machine.welcome(Log(1).welcome(.ahead, of: 3), now: 3)
        #expect(machine.batch(limit: 9).isEmpty && machine.phase != .live)
    }

    @Test func aPausedStreamTakesNothingUntilItIsResumed() throws {
        let log = Log(3)
        var machine = live(Log(0))
        _ = try machine.decide(.pause, now: 0)
        _ = machine.events(log.batch(1...3), now: 0)
        #expect(machine.batch(limit: 9).isEmpty && machine.tick(now: 9).isEmpty)
        #expect(try machine.decide(.resume, now: 9) == [.sendHello(.init())])
        #expect(throws: DecisionRefused.self) { try machine.decide(.heal, now: 9) }
    }

    @Test func aHoleIsBootstrappedOrItsLossAcceptedByAPersonsWord() throws {
        let log = Log(9)
        func stopped() -> SubscriptionMachine {
            var machine = SubscriptionMachine(durable: .init(), now: 0)
            _ = machine.tick(now: 0)
            _ = machine.welcome(log.welcome(.expired, oldest: 5), now: 0)
            return machine
        }
        var machine = stopped()
        #expect(try machine.decide(.bootstrap, now: 0) == [.askSnapshot])
        let place = SubscriptionMachine.Cursor(epoch: 1, seq: 9, link: log.links[9])
        let answer = Control(
            from: "a", stream: "a", lane: .main, what: .snapshotting, seq: 9, link: log.links[9], epoch: 1)
        #expect(machine.control(answer, now: 1) == [.settle(.bootstrap, at: place)])
        var other = stopped()
        #expect(try other.decide(.acceptLoss, now: 0) == [.findCopy(0)])
        #expect(other.copyFound(0, nil, now: 0) == [.sendHello(.init())])
        var welcome = log.welcome(.expired, oldest: 5)
        welcome.beforeOldest = log.links[4]
        let oldest = SubscriptionMachine.Cursor(epoch: 1, seq: 4, link: log.links[4])
        #expect(other.welcome(welcome, now: 1) == [.settle(.acceptLoss, at: oldest)])
    }

    @Test func aBodyThatDoesNotHashToItsLinkIsQuarantined() {
        let log = Log(3)
        let good = log.batch(1...3)
        let bad = EventBatch(header: good.header, bodies: [good.bodies[0], Array("changed".utf8), good.bodies[2]])
        var machine = live(Log(0))
        _ = machine.events(bad, now: 0)
        #expect(machine.phase == .syncing)
        _ = machine.page(bad, now: 0)
        #expect(machine.phase == .stopped(.quarantined(at: 1)))
        #expect(machine.readyCount == 0)
    }

    @Test func aPublisherThatStartedAnewIsAskedWhereItIsBeforeAnythingIsTaken() {
        let log = Log(3)
        var machine = live(Log(0))
        #expect(machine.events(log.batch(1...3, term: 5), now: 0) == [.sendHello(.init())])
        #expect(machine.accepted.seq == 0)
        _ = machine.welcome(log.welcome(term: 5), now: 0)
        _ = machine.events(log.batch(1...3, term: 5), now: 0)
        #expect(machine.accepted.seq == 3)
    }

    @Test func aZombieOfAnOlderTermIsIgnored() {
        let log = Log(3)
        var machine = SubscriptionMachine(durable: .init(), now: 0)
        _ = machine.tick(now: 0)
        _ = machine.welcome(Log(0).welcome(term: 5), now: 0)
        _ = machine.events(log.batch(1...1, term: 5), now: 0)
        #expect(machine.events(log.batch(2...3, term: 4), now: 0).count == 1)
        #expect(machine.accepted.seq == 1)
    }

    @Test func aPublisherWhoseTermWentBackForGoodIsAskedWhereItIs() {
        var machine = SubscriptionMachine(durable: .init(), now: 0)
        _ = machine.tick(now: 0)
        _ = machine.welcome(Log(0).welcome(term: 5), now: 0)
        for second in 1...10 { _ = machine.beacon(Log(0).beacon(term: 4), now: Double(second)) }
        #expect(machine.phase == .live)
        _ = machine.beacon(Log(0).beacon(term: 5), now: 10.5)
        for second in 11...22 { _ = machine.beacon(Log(0).beacon(term: 4), now: Double(second)) }
        #expect(machine.phase == .hello)
        _ = machine.welcome(Log(0).welcome(.ahead, term: 4), now: 23)
        #expect(machine.phase != .live && machine.readyCount == 0)
    }

    @Test func whatIsNoLongerKeptIsNeverSkippedSilently() {
        var machine = SubscriptionMachine(durable: .init(), now: 0)
        _ = machine.tick(now: 0)
        _ = machine.welcome(Log(9).welcome(.expired, oldest: 5), now: 0)
        #expect(machine.phase == .stopped(.hole(oldest: 5)))
    }

    /// A handshake on a bad line takes longer than the first patience, and must not be broken off again and again.
    @Test func aConnectionThatBroughtNothingIsGivenLongerEachTime() {
        var machine = live(Log(0))
        var reconnects: [Double] = []
        for tick in stride(from: 0.0, through: 100, by: 0.5)
        where machine.tick(now: tick).contains(where: { $0 == .reconnect }) { reconnects.append(tick) }
        let pauses = zip([0] + reconnects, reconnects).map { $1 - $0 }
        #expect(pauses.prefix(5).elementsEqual([3.5, 6.5, 12.5, 24.5, 24.5]), "\(pauses)")
        _ = machine.beacon(Log(0).beacon(), now: 100)
        #expect(machine.tick(now: 103.5).contains(.reconnect), "heard once, it is impatient again")
    }

    @Test func silenceReconnects() {
        var machine = live(Log(0))
        #expect(machine.tick(now: 2) == [])
        #expect(machine.tick(now: 3.5).contains(.reconnect))
    }

    @Test func unansweredQuestionsReconnectToo() {
        let log = Log(2)
        var machine = live(Log(0))
        var actions: [SubscriptionMachine.Action] = []
        var now = 0.0
        while now < 12 {
            actions += machine.beacon(log.beacon(), now: now) + machine.tick(now: now)
            now += 0.25
        }
        #expect(actions.contains(.reconnect) && actions.contains(.askPage(from: 1)))
    }
}
