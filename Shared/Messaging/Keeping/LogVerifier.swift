import Postgres
import Sodium

/// Reads a service's whole log as it is stored and says what does not fit: bodies, numbers, links, sealed days.
public struct LogVerifier: Sendable {
    public struct Finding: Sendable {
        public let sequence: String
        public let events: Int64
        public let segments: Int
        /// Nil when everything fits.
        public let wrong: String?
    }
    private let service: String
    private let verifying: VerifyingKey?

    /// - Parameter verifying: the service's public key; nil: signatures are not looked at.
    public init(service: String, verifying: VerifyingKey?) {
        self.service = service
        self.verifying = verifying
    }

    public func run(_ connection: some StatementRunner) async throws -> [Finding] {
        let heads = try await connection.query(
            """
            SELECT h.stream, h.lane, h.seq, h.link, coalesce(d.first, h.seq + 1) AS first, d.before FROM stream_head AS h
            LEFT JOIN LATERAL (SELECT first, before FROM day_range AS d WHERE d.stream = h.stream AND d.lane = h.lane
                ORDER BY first LIMIT 1) AS d ON true
            ORDER BY h.stream, h.lane DESC
            """)
        var findings: [Finding] = []
        for row in heads {
            guard let lane = Lane(rawValue: try row.string("lane")) else { continue }
            let stream = try row.string("stream")
            let sealed = try await segments(stream, lane, connection)
            var reader = ChainReader(
                stream: stream, lane: lane, seq: try row.int("first") - 1,
                link: try row.optionalBytes("before").flatMap { Link($0) } ?? .zero)
            let head = try row.int("seq")
            var wrong = sealed.wrong
            // Stops at the end of each sealed day, to compare its link.
            for (last, link) in sealed.ends + [(head, Link(try row.bytes("link")) ?? .zero)] where last > reader.seq {
                while try await reader.advance(to: last, connection, withBodies: true) {}
                if reader.wrong == nil, reader.link != link {
                    wrong = wrong ?? "the chain at #\(last) is not the sealed one"
                }
            }
            findings.append(
                Finding(
                    sequence: "\(stream)/\(lane.rawValue)", events: reader.count, segments: sealed.ends.count,
                    wrong: reader.wrong ?? wrong))
        }
        return findings
    }

    private func segments(_ stream: String, _ lane: Lane, _ connection: some StatementRunner) async throws -> (
        ends: [(Int64, Link)], wrong: String?
    ) {
        let rows = try await connection.query(
            """
            SELECT day::text AS day, count, first, last, link, signature FROM segment
            WHERE stream = $1 AND lane = $2 ORDER BY last
            """, [.text(stream), .text(lane.rawValue)])
        var ends: [(Int64, Link)] = []
        for row in rows {
            let day = try row.string("day")
            let link = Link(try row.bytes("link")) ?? .zero
            let segment = Segment(
                service: service, stream: stream, lane: lane, day: day, count: try row.int("count"),
                first: try row.int("first"), last: try row.int("last"), link: link)
            if let verifying, !verifying.accepts(try row.bytes("signature"), of: segment.bytes) {
                return (ends, "the seal of \(day) is not ours")
            }
            if let before = ends.last, before.0 + 1 != segment.first {
                return (ends, "a sealed day before \(day) is missing")
            }
            ends.append((segment.last, link))
        }
        return (ends, nil)
    }
}
