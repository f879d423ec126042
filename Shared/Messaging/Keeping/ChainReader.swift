import Postgres
import Sodium

/// Follows a stored chain from a known link and compares every step with what is written down.
struct ChainReader {
    let stream: String
    let lane: Lane
    private(set) var seq: Int64
    private(set) var link: Link
    /// What does not fit, in words; nothing is read beyond it.
    private(set) var wrong: String?
    private(set) var count: Int64 = 0

    init(stream: String, lane: Lane, seq: Int64, link: Link) {
        self.stream = stream
        self.lane = lane
        self.seq = seq
        self.link = link
    }

    /// Events read in one statement.
    static let pageCount = 500

    /// Reads the next events up to `end`. False at the end, or when something does not fit.
    ///
    /// - Parameter withBodies: hash the bodies themselves, and not only their digests.
    mutating func advance(to end: Int64, _ connection: some StatementRunner, withBodies: Bool) async throws -> Bool {
        guard wrong == nil, seq < end else { return false }
        let rows = try await connection.query(
            """
            SELECT n.* FROM day_range AS d CROSS JOIN LATERAL (
                SELECT n.seq, n.link, e.digest\(withBodies ? ", e.body" : "") FROM event_no AS n
                LEFT JOIN event AS e ON e.day = n.event_day AND e.id = n.event_id
                WHERE n.day = d.day AND n.stream = $1 AND n.lane = $2
                    AND n.first > $3::bigint - \(StampingTick.limit) AND n.first <= $3 + \(Self.pageCount) AND n.last > $3
                    AND n.seq > $3 AND n.seq <= $4 AND n.seq <= $3 + \(Self.pageCount)) AS n
            WHERE d.stream = $1 AND d.lane = $2 AND d.last > $3 AND d.first <= $3 + \(Self.pageCount)
            ORDER BY n.seq
            """, [.text(stream), .text(lane.rawValue), .int(seq), .int(end)])
        guard !rows.isEmpty else {
            wrong = "#\(seq + 1) is missing from the log"
            return false
        }
        for row in rows {
            let number = try row.int("seq")
            guard number == seq + 1 else {
                wrong = number == seq ? "#\(seq) is there twice" : "#\(seq + 1) is missing from the log"
                return false
            }
            guard let digest = try row.optionalBytes("digest") else {
                wrong = "the event of #\(number) is missing"
                return false
            }
            if withBodies, sha256(try row.bytes("body")) != digest {
                wrong = "the body of #\(number) was changed after it was written"
                return false
            }
            link = link.next(seq: number, digest: digest)
            guard try row.bytes("link") == link.bytes else {
                wrong = "#\(number) does not fit the chain"
                return false
            }
            seq = number
            count += 1
        }
        return true
    }
}

/// A finished day of a sequence, as it is signed.
struct Segment {
    let service, stream: String
    let lane: Lane
    let day: String
    let count, first, last: Int64
    let link: Link

    var bytes: [UInt8] {
        Array(
            "throughline segment v1\n\(service)\n\(stream)/\(lane.rawValue)\n\(day)\n\(count)\n\(first)\n\(last)\n\(link)"
                .utf8)
    }
}
