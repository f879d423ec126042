import Primitives

@testable import Messaging

/// A publisher as the database and the stamper make it: what is committed is durable, what is numbered is durable before it
/// is published, and a crash between any two of these steps loses what was only in memory.
struct SimulatedPublisher {
    struct Said: Equatable {
        let key: String
        let value: Int
        var body: [UInt8] { Array("\(key)/\(value)".utf8) }
    }
    /// Committed and not numbered yet.
    private(set) var pending: [Said] = []
    /// Numbered, from 1.
    private(set) var log: [RecentEvents.Entry] = []
    private(set) var head = StreamHead(stream: "p", lane: .main, epoch: 1, term: 1, seq: 0, link: .zero)
    private var nextBeacon = 0.0
    /// Until when the process is away.
    private(set) var awayUntil = 0.0

    func isAway(_ now: Double) -> Bool { now < awayUntil }

    mutating func commit(_ said: Said) { pending.append(said) }

    /// One tick of the stamper; the live messages, unless it dies after the commit and before it publishes.
    mutating func stamp(limit: Int, diesBeforePublishing: Bool) -> [Inbound] {
        let fresh = pending.prefix(limit)
        guard !fresh.isEmpty else { return [] }
        pending.removeFirst(fresh.count)
        let before = head.link
        var entries: [RecentEvents.Entry] = []
        for said in fresh {
            head.seq += 1
            head.link = head.link.next(seq: head.seq, body: said.body)
            entries.append(.init(seq: head.seq, link: head.link, body: said.body))
        }
        log += entries
        if diesBeforePublishing { return [] }
        return PublisherDecisions.liveBatches(head, after: before, entries, from: nil).map { .events($0) }
    }

    mutating func beacon(now: Double) -> Inbound? {
        guard now >= nextBeacon else { return nil }
        nextBeacon = now + 1
        return .beacon(head.beacon(state: "ready"))
    }

    mutating func answer(_ letter: Inbound) -> Inbound? {
        switch letter {
        case .hello(let hello):
            let link = PublisherDecisions.needsLink(hello, head) ? log[Int(hello.seq) - 1].link : nil
            return .welcome(PublisherDecisions.welcome(hello, head, linkInLog: link, from: "p"))
        case .pullPage(let request):
            guard request.seq >= 1, request.seq <= head.seq else { return nil }
            let entries = Array(log[(Int(request.seq) - 1)...].prefix(EventBatch.pageCount))
            let before = request.seq == 1 ? Link.zero : log[Int(request.seq) - 2].link
            return .page(PublisherDecisions.page(head, after: before, entries, from: "p"))
        case .control(let control, let bodies) where control.what == .copies:
            takeBack(bodies)
            return .control(
                Control(
                    from: "p", stream: "p", lane: .main, what: .copied, seq: control.seq + Int64(bodies.count) - 1),
                bodies: [])
        default: return nil
        }
    }

    /// What the log lost and a subscriber kept is committed anew, unless it is there.
    private mutating func takeBack(_ bodies: [[UInt8]]) {
        var known = Set(log.map(\.body))
        known.formUnion(pending.map(\.body))
        for body in bodies where !known.contains(body) {
            let parts = String(decoding: body, as: UTF8.self).split(separator: "/")
            pending.append(Said(key: String(parts[0]), value: Int(parts[1]) ?? -1))
        }
    }

    /// The process dies and comes back later, with a new term.
    mutating func crash(until: Double) {
        awayUntil = max(awayUntil, until)
        head.term += 1
    }

    /// An older copy of its database is put back: the last numbered events are gone.
    mutating func restore(losing count: Int, inTerm term: Int64) {
        log.removeLast(min(count, log.count))
        head.seq = Int64(log.count)
        head.link = log.last?.link ?? .zero
        pending = []
        head.term = term
    }
}
