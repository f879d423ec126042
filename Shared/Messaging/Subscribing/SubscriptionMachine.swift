import Primitives

/// A subscriber's side of one stream and lane, without I/O: decides what to ask, what to take and when to stop.
/// Time is handed in as seconds of a monotonic clock.
///
/// INIT → HELLO → SYNCING → LIVE, and the visible stops. What does not fit the cursor is never
/// skipped: it is asked for again, or the stream stops, says why, and waits for a person's decision.
struct SubscriptionMachine {
    struct Cursor: Equatable, Sendable {
        var epoch: Int64 = 0
        var seq: Int64 = 0
        var link: Link = .zero
    }

    enum Phase: Equatable, Sendable {
        case hello, syncing, live
        case stopped(Stop)
        /// A person's decision about a stop is being carried out.
        case settling(Settlement)
        case paused
    }

    /// Why effects of this stream have stopped; a person decides how it goes on.
    enum Stop: Equatable, Sendable {
        /// Our position is not in the publisher's log.
        case forked(String)
        /// The publisher no longer keeps what comes next for us.
        case hole(oldest: Int64)
        /// Bodies do not hash to the link they came with, not even from the publisher's log.
        case quarantined(at: Int64)
    }

    struct Event: Sendable, Equatable {
        let seq: Int64
        let link: Link
        let body: [UInt8]

        /// Bytes that it takes in memory, about.
        var footprint: Int { body.count + 128 }
    }

    enum Action: Equatable, Sendable {
        case sendHello(Cursor)
        case askPage(from: Int64)
        /// The connection seems dead: disconnect, connect again.
        case reconnect
        case alarm(String)
        /// Look up the link of our copy of this number and say so by `copyFound`.
        case findCopy(Int64)
        /// Send the publisher our copies from this number on; `copied` says when they are durable there.
        case sendCopies(from: Int64)
        case askSnapshot
        /// Move the durable cursor here, keep what lies beyond as forked copies, record it, then `restart`.
        case settle(Decision, at: Cursor)
    }

    /// Where effects are durable.
    private(set) var durable: Cursor
    /// Where the chain has been checked and events wait in `ready`.
    var accepted: Cursor
    var phase = Phase.hello
    /// The publisher's highest number, as far as it is known.
    var head: Int64 = 0
    var refilled: Int64 = 0
    var ready: [Event] = []
    var readyBytes = 0
    var ahead: [Int64: EventBatch] = [:]
    var term: Int64 = 0
    /// Since when only a publisher of an older term has been heard.
    var olderSince: Double?
    var pageAskedAt: Double?
    var helloAskedAt: Double?
    var behindSince: Double?
    var lastHeard: Double
    /// Grows with each connection that brought nothing.
    private var silencePatience = Self.silenceLimit
    /// Since when beacons tell of less than we have.
    var lowerSince: Double?
    /// Since when the publisher has told us nothing: shown as "waits for".
    private(set) var silentSince: Double?
    /// Since when nothing is taken.
    private(set) var stoppedSince: Double?
    /// Questions in a row that were not answered: the way back may be dead although beacons come.
    var unanswered = 0
    /// The last live batch that did not fit its chain: the log is asked before the stream is quarantined.
    var doubtedAt: Int64?

    /// Bytes that checked events take while they wait for their transaction, at most; beyond it nothing more is taken. What is
    /// dropped here travels twice, so there is room for a second or two of a full load.
    static let readyLimit = 12 * 1024 * 1024
    /// Live batches kept while a gap is being refilled.
    static let aheadLimit = 64
    static let unansweredLimit = 3
    static let helloPause = 1.0, pageTimeout = 2.0, tailPatience = 0.2, silenceLimit = 3.0
    /// Seconds of silence at most after which a connection is made anew: on a bad line a handshake takes longer than the first
    /// limit, and would never end if it were broken off again and again.
    static let silencePatienceLimit = 24.0
    /// Seconds in which a living leader would have spoken beside a zombie of an older term.
    static let zombiePatience = 10.0
    /// Seconds in which a page may have overtaken a beacon.
    static let lowerPatience = 1.5
    /// Seconds between questions whether a stopped stream fits again.
    static let stoppedPause = 5.0

    init(durable: Cursor, now: Double) {
        self.durable = durable
        accepted = durable
        lastHeard = now
    }

    var readyCount: Int { ready.count }

    /// The next events for one transaction, oldest first.
    func batch(limit: Int) -> [Event] {
        switch phase {
        case .hello, .syncing, .live: Array(ready.prefix(limit))
        case .stopped, .settling, .paused: []
        }
    }

    /// The transaction that took `events` is durable.
    mutating func applied(_ events: [Event]) {
        guard let last = events.last else { return }
        readyBytes -= ready[..<events.count].reduce(0) { $0 + $1.footprint }
        ready.removeFirst(events.count)
        durable = Cursor(epoch: accepted.epoch, seq: last.seq, link: last.link)
    }

    /// The durable position was read again, after a commit whose outcome was unknown or a lost race.
    mutating func restart(from cursor: Cursor, now: Double) -> [Action] {
        durable = cursor
        forget()
        phase = .hello
        helloAskedAt = now
        return [.sendHello(cursor)]
    }

    /// Drops everything that is not durable.
    private mutating func forget() {
        accepted = durable
        ready = []
        readyBytes = 0
        ahead = [:]
        pageAskedAt = nil
        behindSince = nil
        doubtedAt = nil
        lowerSince = nil
    }

    mutating func pause() {
        forget()
        phase = .paused
    }

    mutating func tick(now: Double) -> [Action] {
        var actions: [Action] = []
        switch phase {
        case .stopped, .settling, .paused: stoppedSince = stoppedSince ?? now
        case .hello, .syncing, .live: stoppedSince = nil
        }
        switch phase {
        case .paused: return []
        case .settling: return settlingTick(now: now)
        case .stopped(.quarantined): return []
        case .stopped:
            guard helloAskedAt.map({ now - $0 >= Self.stoppedPause }) ?? true else { return [] }
            helloAskedAt = now
            return [.sendHello(durable)]
        case .hello, .syncing, .live: break
        }
        if now - lastHeard > silencePatience {
            silentSince = silentSince ?? lastHeard
            silencePatience = min(silencePatience * 2, Self.silencePatienceLimit)
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

    mutating func heard(_ now: Double) {
        lastHeard = now
        silencePatience = Self.silenceLimit
        silentSince = nil
    }

    /// What this stream waits for, in words, and for how many seconds; nil while it flows.
    func waiting(now: Double) -> (String, Double)? {
        switch phase {
        case .stopped, .paused: ("a person's decision", now - (stoppedSince ?? now))
        case .settling: ("the decision to be carried out", now - (stoppedSince ?? now))
        case .hello, .syncing, .live: silentSince.map { ("a word of the publisher", now - $0) }
        }
    }

    mutating func stop(_ reason: Stop) -> [Action] {
        forget()
        let isNews = phase != .stopped(reason)
        phase = .stopped(reason)
        return isNews ? [.alarm(reason.words)] : []
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
        case .settling(let settlement): "SETTLING: \(settlement.decision.rawValue)"
        case .paused: "PAUSED"
        }
    }
}
