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
        }

        /// Gives up the oldest until `count` bytes are free; how many became so.
        mutating func free(_ count: Int) -> Int {
            let before = bytes
            while before - bytes < count, start < entries.count {
                bytes -= entries[start].body.count
                entries[start] = Entry(seq: entries[start].seq, link: entries[start].link, body: [])
                start += 1
            }
            if start * 2 > entries.count {
                entries.removeFirst(start)
                start = 0
            }
            return before - bytes
        }
    }
    private struct State {
        var rings: [String: Ring] = [:]
        var bytes = 0
    }
    private let state = Mutex(State())

    /// Bytes of bodies kept in all sequences together at most: as much as a subscriber that is a second or two behind a full
    /// load still finds here.
    static let bytesLimit = 5 * 1024 * 1024

    /// A new lead begins with none: the log may have lost what was remembered.
    func clear() { state.withLock { $0 = State() } }

    func append(_ entries: [Entry], stream: String, lane: Lane) {
        state.withLock { state in
            let name = "\(stream)/\(lane.rawValue)"
            // After an unknown COMMIT, or another instance's turn, some were stamped past this memory.
            if let ring = state.rings[name], let last = ring.entries.last, last.seq + 1 != entries.first?.seq {
                state.bytes -= ring.bytes
                state.rings[name] = nil
            }
            // In place: a copy of the ring at each tick would cost more than the tick.
            state.rings[name, default: Ring()].append(entries)
            state.bytes += entries.reduce(0) { $0 + $1.body.count }
            while state.bytes > Self.bytesLimit,
                let largest = state.rings.max(by: { $0.value.bytes < $1.value.bytes })?.key
            {
                let excess = state.bytes - Self.bytesLimit
                state.bytes -= state.rings[largest]?.free(excess) ?? excess
            }
        }
    }

    /// The events from `seq` on with the link before them; nil when they are not all in memory.
    func page(stream: String, lane: Lane, from seq: Int64) -> (before: Link, [Entry])? {
        state.withLock { state in
            guard let kept = state.rings["\(stream)/\(lane.rawValue)"]?.kept, let first = kept.first, seq > first.seq,
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
