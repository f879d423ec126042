/// A publisher's side of the protocol without I/O: where a subscriber stands, and how numbered events are cut into messages.
/// The same code answers in production and in the simulator.
enum PublisherDecisions {
    /// Whether the link at the subscriber's position must be looked up to answer it.
    static func needsLink(_ hello: Hello, _ head: StreamHead) -> Bool {
        hello.seq > 0 && hello.seq <= head.seq && hello.seq >= head.oldest - 1
    }

    /// Whether the link before the oldest kept event must be looked up to answer it.
    static func isExpired(_ hello: Hello, _ head: StreamHead) -> Bool { hello.seq + 1 < head.oldest }

    /// - Parameters:
    ///   - linkInLog: the link at the subscriber's position in our log; nil when it was not looked up.
    ///   - beforeOldest: the link before the oldest kept event, for an expired position.
    static func welcome(
        _ hello: Hello, _ head: StreamHead, linkInLog: Link?, beforeOldest: Link? = nil, from name: String
    ) -> Welcome {
        let status: Welcome.Status =
            if hello.seq > head.seq {
                .ahead
            } else if isExpired(hello, head) {
                .expired
            } else if needsLink(hello, head), linkInLog != hello.link, linkInLog != nil || hello.seq >= head.oldest {
                .diverged
            } else {
                .match
            }
        return Welcome(
            from: name, stream: hello.stream, lane: hello.lane, status: status, seq: hello.seq, epoch: head.epoch,
            term: head.term, head: head.seq, oldest: head.oldest, beforeOldest: beforeOldest)
    }

    /// Cuts freshly numbered events into live messages within their limits.
    ///
    /// - Parameter sender: named in a letter; nil for what every subscriber hears.
    static func liveBatches(
        _ head: StreamHead, after before: Link, _ entries: [RecentEvents.Entry], from sender: String?
    ) -> [EventBatch] {
        var batches: [EventBatch] = []
        var link = before
        var rest = entries[...]
        while let first = rest.first {
            var bytes = 0
            let part = rest.prefix(EventBatch.liveCount).prefix { entry in
                bytes += entry.body.count
                return bytes <= EventBatch.liveBytes || entry.seq == first.seq
            }
            rest = rest.dropFirst(part.count)
            let after = part[part.endIndex - 1].link
            batches.append(
                EventBatch(
                    header: .init(
                        stream: head.stream, lane: head.lane, epoch: head.epoch, term: head.term, seq: first.seq,
                        n: part.count, head: head.seq, chainBefore: link, chainAfter: after, from: sender),
                    bodies: part.map(\.body)))
            link = after
        }
        return batches
    }

    /// A page of consecutive events from the log.
    static func page(
        _ head: StreamHead, after before: Link, _ entries: [RecentEvents.Entry], from name: String
    ) -> EventBatch {
        EventBatch(
            header: .init(
                kind: "PAGE", stream: head.stream, lane: head.lane, epoch: head.epoch, term: head.term,
                seq: entries[0].seq, n: entries.count, head: head.seq, chainBefore: before,
                chainAfter: entries[entries.count - 1].link, oldest: head.oldest, from: name),
            bodies: entries.map(\.body))
    }

    /// Letters that came together, without the questions for a page that the same peer asked anew for the same lane: a subscriber
    /// waits for one page at a time, and whoever asks in a loop must not make us hold an answer of a megabyte for each.
    static func newestQuestions(_ letters: [(Inbound, String)]) -> [(Inbound, String)] {
        var asked: Set<StreamName> = []
        let newestFirst = letters.reversed().filter { letter, peer in
            guard case .pullPage(let question) = letter else { return true }
            return asked.insert(StreamName(publisher: peer, stream: question.stream, lane: question.lane)).inserted
        }
        return newestFirst.reversed()
    }
}
