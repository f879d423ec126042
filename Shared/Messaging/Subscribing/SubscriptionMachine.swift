import Primitives

/// A subscriber's side of one stream and lane, without I/O: decides what to ask, what to take and when to stop.
/// Time is handed in as seconds of a monotonic clock.
///
/// INIT → HELLO → SYNCING → LIVE, and the visible stops. What does not fit the cursor is never
/// skipped: it is asked for again, or the stream stops and says why.
struct SubscriptionMachine {
    struct Cursor: Equatable, Sendable {
        var epoch: Int64 = 0
        var seq: Int64 = 0
        var link: Link = .zero
    }

    enum Phase: Equatable, Sendable {
        case hello, syncing, live
        case stopped(Stop)
    }

    /// Why effects of this stream have stopped; a person decides how it goes on.
    enum Stop: Equatable, Sendable {
        /// Our position is not in the publisher's log.
        case forked(String)
        /// The publisher no longer keeps what comes next for us.
        case hole(oldest: Int64)
        /// Bodies do not hash to the link they came with.
        case quarantined(at: Int64)
    }

    struct Event: Sendable, Equatable {
        let seq: Int64
        let link: Link
        let body: [UInt8]
    }

    enum Action: Equatable, Sendable {
        case sendHello(Cursor)
        case askPage(from: Int64)
        /// The connection seems dead: disconnect, connect again.
        case reconnect
        case alarm(String)
    }

    /// Where effects are durable.
    private(set) var durable: Cursor
    /// Where the chain has been checked and events wait in `ready`.
    private(set) var accepted: Cursor
    private(set) var phase = Phase.hello
    /// The publisher's highest number, as far as it is known.
    private(set) var head: Int64 = 0
    private(set) var refilled: Int64 = 0
    private var ready: [Event] = []
    private var ahead: [Int64: EventBatch] = [:]
    private var term: Int64 = 0
    /// Since when only a publisher of an older term has been heard.
    private var olderSince: Double?
    private var pageAskedAt: Double?
    private var helloAskedAt: Double?
    private var behindSince: Double?
    private var lastHeard: Double
    /// Questions in a row that were not answered: the way back may be dead although beacons come.
    private var unanswered = 0

    /// Events checked and waiting for their transaction at most; beyond it nothing more is taken.
    static let readyLimit = 4000
    /// Live batches kept while a gap is being refilled.
    static let aheadLimit = 64
    static let unansweredLimit = 3
    static let helloPause = 1.0, pageTimeout = 2.0, tailPatience = 0.2, silenceLimit = 3.0
    /// Seconds in which a living leader would have spoken beside a zombie of an older term.
    static let zombiePatience = 10.0

    init(durable: Cursor, now: Double) {
        self.durable = durable
        accepted = durable
        lastHeard = now
    }

    var readyCount: Int { ready.count }

    /// The next events for one transaction, oldest first.
    func batch(limit: Int) -> [Event] { Array(ready.prefix(limit)) }

    /// The transaction that took `events` is durable.
    mutating func applied(_ events: [Event]) {
        guard let last = events.last else { return }
        ready.removeFirst(events.count)
        durable = Cursor(epoch: accepted.epoch, seq: last.seq, link: last.link)
    }

    /// The durable position was read again, after a commit whose outcome was unknown or a lost race.
    mutating func restart(from cursor: Cursor, now: Double) -> [Action] {
        durable = cursor
        accepted = cursor
        ready = []
        ahead = [:]
        pageAskedAt = nil
        phase = .hello
        helloAskedAt = now
        return [.sendHello(cursor)]
    }

    mutating func tick(now: Double) -> [Action] {
        if case .stopped = phase { return [] }
        var actions: [Action] = []
        if now - lastHeard > Self.silenceLimit {
            lastHeard = now  // The next reconnect not before another silence.
            actions.append(.reconnect)
        }
        if phase == .hello {
            if helloAskedAt.map({ now - $0 >= Self.helloPause }) ?? true {
                actions += missedAnswer(helloAskedAt != nil)
                helloAskedAt = now
                actions.append(.sendHello(accepted))
            }
            return actions
        }
        if let asked = pageAskedAt, now - asked > Self.pageTimeout {
            pageAskedAt = nil
            actions += missedAnswer(true)
        }
        return actions + ask(now: now)
    }

    private mutating func missedAnswer(_ asked: Bool) -> [Action] {
        guard asked else { return [] }
        unanswered += 1
        guard unanswered >= Self.unansweredLimit else { return [] }
        unanswered = 0
        return [.reconnect]
    }

    mutating func welcome(_ welcome: Welcome, now: Double) -> [Action] {
        heard(now)
        unanswered = 0
        if case .stopped = phase { return [] }
        guard accept(term: welcome.term) else { return older(welcome.term, now: now) }
        head = welcome.head
        switch welcome.status {
        case .match:
            accepted.epoch = welcome.epoch
            phase = head > accepted.seq ? .syncing : .live
            behindSince = head > accepted.seq ? now - Self.tailPatience : nil
            return ask(now: now)
        case .ahead:
            return stop(.forked("our #\(accepted.seq) is beyond its last #\(welcome.head)"))
        case .diverged:
            return stop(.forked("its #\(accepted.seq) is another event than ours"))
        case .expired:
            return stop(.hole(oldest: welcome.oldest))
        }
    }

    mutating func beacon(_ beacon: Beacon, now: Double) -> [Action] {
        heard(now)
        guard phase == .live || phase == .syncing else { return [] }
        if let actions = anotherTerm(beacon.term, now: now) { return actions }
        if beacon.epoch != accepted.epoch || suspicious(beacon) {
            return restart(from: durable, now: now)
        }
        head = max(head, beacon.head)
        if head > accepted.seq {
            if behindSince == nil { behindSince = now }
        } else {
            phase = .live
        }
        return ask(now: now)
    }

    /// A head below ours, or another link at our place: only HELLO can tell, for a page may have
    /// overtaken this beacon.
    private func suspicious(_ beacon: Beacon) -> Bool {
        beacon.head == accepted.seq && beacon.headchain != accepted.link
    }

    mutating func page(_ batch: EventBatch, now: Double) -> [Action] {
        pageAskedAt = nil
        unanswered = 0
        let before = accepted.seq
        let actions = events(batch, now: now)
        refilled += accepted.seq - before
        return actions
    }

    mutating func events(_ batch: EventBatch, now: Double) -> [Action] {
        heard(now)
        guard phase == .live || phase == .syncing else { return [] }
        if let actions = anotherTerm(batch.header.term, now: now) { return actions }
        guard batch.header.epoch == accepted.epoch else { return restart(from: durable, now: now) }
        head = max(head, batch.header.head, batch.last)
        var actions = take(batch)
        while phase == .live || phase == .syncing, let next = ahead.removeValue(forKey: accepted.seq + 1) {
            actions += take(next)
        }
        if case .stopped = phase { return actions }
        if head > accepted.seq {
            phase = .syncing
            if behindSince == nil { behindSince = now }
        } else {
            phase = .live
            behindSince = nil
            ahead = [:]
        }
        return actions + ask(now: now)
    }

    private mutating func take(_ batch: EventBatch) -> [Action] {
        if batch.bodies.isEmpty || batch.last <= accepted.seq { return [] }
        guard batch.first <= accepted.seq + 1 else {
            if ahead.count < Self.aheadLimit { ahead[batch.first] = batch }
            return []
        }
        guard ready.count < Self.readyLimit else { return [] }
        var link = batch.header.chainBefore
        var fresh: [Event] = []
        for (offset, body) in batch.bodies.enumerated() {
            let seq = batch.first + Int64(offset)
            if seq == accepted.seq + 1, link != accepted.link {
                return stop(.forked("the event before #\(seq) is another than ours"))
            }
            link = link.next(seq: seq, body: body)
            if seq > accepted.seq { fresh.append(Event(seq: seq, link: link, body: body)) }
        }
        guard link == batch.header.chainAfter else { return stop(.quarantined(at: batch.first)) }
        ready += fresh
        accepted.seq = batch.last
        accepted.link = link
        return []
    }

    /// Asks for what is missing, one page at a time, and a lost tail only after a short patience:
    /// mostly the live frame is just behind the beacon.
    private mutating func ask(now: Double) -> [Action] {
        guard head > accepted.seq, pageAskedAt == nil, ready.count < Self.readyLimit / 2 else {
            if head <= accepted.seq { behindSince = nil }
            return []
        }
        let waited = behindSince.map { now - $0 } ?? 0
        guard waited >= Self.tailPatience || !ahead.isEmpty else { return [] }
        phase = .syncing
        pageAskedAt = now
        return [.askPage(from: accepted.seq + 1)]
    }

    /// What is done when the publisher speaks in another term than before: an older one is a zombie and is ignored; a newer
    /// one has started anew, perhaps from an older copy of its log, so it is asked where it is before anything is taken.
    private mutating func anotherTerm(_ term: Int64, now: Double) -> [Action]? {
        let known = self.term
        guard accept(term: term) else { return older(term, now: now) }
        return known != 0 && term > known ? restart(from: durable, now: now) : nil
    }

    private mutating func accept(term: Int64) -> Bool {
        guard term >= self.term else { return false }
        self.term = term
        olderSince = nil
        return true
    }

    /// A zombie speaks beside a living leader; when nobody else does, the publisher itself has gone back: an older copy
    /// of its log was put in its place.
    private mutating func older(_ term: Int64, now: Double) -> [Action] {
        let since = olderSince ?? now
        olderSince = since
        guard now - since >= Self.zombiePatience else { return [.alarm("a publisher of an older term speaks")] }
        return stop(.forked("its term went back from \(self.term) to \(term)"))
    }

    private mutating func heard(_ now: Double) { lastHeard = now }

    private mutating func stop(_ reason: Stop) -> [Action] {
        phase = .stopped(reason)
        return [.alarm(reason.words)]
    }
}

extension SubscriptionMachine.Stop {
    var words: String {
        switch self {
        case .forked(let how): "FORKED: \(how)"
        case .hole(let oldest): "HOLE: the publisher keeps events from #\(oldest) only"
        case .quarantined(let seq): "QUARANTINED: the events from #\(seq) do not fit their chain"
        }
    }
}

extension SubscriptionMachine.Phase {
    var words: String {
        switch self {
        case .hello: "HELLO"
        case .syncing: "SYNCING"
        case .live: "LIVE"
        case .stopped(let stop): stop.words
        }
    }
}
