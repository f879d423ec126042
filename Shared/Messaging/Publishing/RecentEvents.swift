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
        var entries: [Entry] = []
        var bytes = 0
    }
    private let rings = Mutex<[String: Ring]>([:])

    /// Events and bytes kept per sequence at most.
    static let countLimit = 5000
    static let bytesLimit = 2 * 1024 * 1024

    func append(_ entries: [Entry], stream: String, lane: Lane) {
        rings.withLock { rings in
            var ring = rings["\(stream)/\(lane)"] ?? Ring()
            // After an unknown COMMIT, or another instance's turn, some were stamped past this memory.
            if let last = ring.entries.last, last.seq + 1 != entries.first?.seq { ring = Ring() }
            ring.entries += entries
            ring.bytes += entries.reduce(0) { $0 + $1.body.count }
            var surplus = 0
            while surplus < ring.entries.count,
                ring.entries.count - surplus > Self.countLimit || ring.bytes > Self.bytesLimit
            {
                ring.bytes -= ring.entries[surplus].body.count
                surplus += 1
            }
            ring.entries.removeFirst(surplus)
            rings["\(stream)/\(lane)"] = ring
        }
    }

    /// The events from `seq` on with the link before them; nil when they are not all in memory.
    func page(stream: String, lane: Lane, from seq: Int64) -> (before: Link, [Entry])? {
        rings.withLock { rings in
            guard let ring = rings["\(stream)/\(lane)"], let first = ring.entries.first,
                seq > first.seq, let index = Int(exactly: seq - first.seq),
                index <= ring.entries.count
            else { return nil }
            var bytes = 0
            let entries = ring.entries[index...].prefix(EventBatch.pageCount).prefix {
                bytes += $0.body.count
                return bytes <= EventBatch.pageBytes || bytes == $0.body.count
            }
            return (ring.entries[index - 1].link, Array(entries))
        }
    }
}
