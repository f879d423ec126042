import Synchronization

/// The last stamped events of each sequence in memory: pages for a subscriber that missed a moment come
/// from here and not from the database.
final class RecentEvents: Sendable {
    struct Entry: Sendable {
        let seq: Int64
        let link: Link
        let body: [UInt8]
    }
    private struct Ring {
        /// Those before `start` are gone; their room is given back now and then.
        var entries: [Entry] = []
        var start = 0
        var bytes = 0

        var kept: ArraySlice<Entry> { entries[start...] }

        mutating func append(_ fresh: [Entry]) {
            entries += fresh
            bytes += fresh.reduce(0) { $0 + $1.body.count }
            while start < entries.count, entries.count - start > countLimit || bytes > bytesLimit {
                bytes -= entries[start].body.count
                start += 1
            }
            if start > countLimit / 4 {
                entries.removeFirst(start)
                start = 0
            }
        }
    }
    private let rings = Mutex<[String: Ring]>([:])

    /// Events and bytes kept per sequence at most.
    static let countLimit = 5000
    static let bytesLimit = 2 * 1024 * 1024

    /// A new lead begins with none: the log may have lost what was remembered.
    func clear() { rings.withLock { $0 = [:] } }

    func append(_ entries: [Entry], stream: String, lane: Lane) {
        rings.withLock { rings in
            let name = "\(stream)/\(lane.rawValue)"
            // After an unknown COMMIT, or another instance's turn, some were stamped past this memory.
            if let last = rings[name]?.entries.last, last.seq + 1 != entries.first?.seq { rings[name] = nil }
            // In place: a copy of the ring at each tick would cost more than the tick.
            rings[name, default: Ring()].append(entries)
        }
    }

    /// The events from `seq` on with the link before them; nil when they are not all in memory.
    func page(stream: String, lane: Lane, from seq: Int64) -> (before: Link, [Entry])? {
        rings.withLock { rings in
            guard let kept = rings["\(stream)/\(lane.rawValue)"]?.kept, let first = kept.first, seq > first.seq,
                let offset = Int(exactly: seq - first.seq), offset <= kept.count
            else { return nil }
            let index = kept.startIndex + offset
            var bytes = 0
            let entries = kept[index...].prefix(EventBatch.pageCount).prefix {
                bytes += $0.body.count
                return bytes <= EventBatch.pageBytes || bytes == $0.body.count
            }
            return (kept[index - 1].link, Array(entries))
        }
    }
}
