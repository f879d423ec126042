import Foundation
import Postgres
import Primitives
import Sodium
import Testing

@testable import Messaging

/// A log that was written before its numbers (V103) and its copies (V104) moved into runs is the same log afterwards.
@Suite(.enabled(if: testDatabase != nil, "THROUGHLINE_TEST_DATABASE is not set: run deploy/test"))
struct OldLogTests {
    @Test func numbersOfEveryDayAndLaneMoveIntoRunsAndTheChainStillHolds() async throws {
        let (connection, pool, migrate) = try await log(before: 103)
        // More than a run holds, over midnight, and a few on the other lane.
        let main = try await fill(connection, .main, [(1, 1300), (0, 1200)])
        let bulk = try await fill(connection, .bulk, [(0, 3)])
        try await migrate()
        let counts = try await connection.query(
            """
            SELECT lane, count(*) AS n, max(seq) AS last, count(DISTINCT seq) AS different FROM event_no
            GROUP BY lane ORDER BY lane DESC
            """)
        #expect(try counts.map { try $0.int("n") } == [2500, 3] && counts.map { try $0.int("last") } == [2500, 3])
        #expect(try counts.map { try $0.int("different") } == [2500, 3])
        let findings = try await LogVerifier(service: "p", verifying: nil).run(connection)
        #expect(findings.map(\.events) == [2500, 3] && findings.allSatisfy { $0.wrong == nil })
        // Pages are read from any place: at a run's ends, across them, and over midnight.
        let lease = LeaseState()
        lease.take([main, bulk])
        let reader = PageReader(pool: pool, recent: RecentEvents(), lease: lease, name: "p")
        for seq in [1, 2, 999, 1000, 1001, 1299, 1300, 1301, 2001, 2500] as [Int64] {
            let page = try await reader.page(PullPage(from: "s", stream: "p", lane: .main, seq: seq))
            #expect(page?.first == seq && page?.last == min(seq + 499, 2500), "from #\(seq)")
            #expect(page?.bodies.first == Array("main \(seq)".utf8))
        }
        await pool.close()
    }

    @Test func copiesOfEverySequenceMoveIntoRunsAndAreReadFromAnyPlace() async throws {
        let (connection, pool, migrate) = try await log(before: 104)
        // Two days, a second sequence, a number without a copy (it could not be read), and one from before links were kept.
        for (stream, ago, range) in [("p", 1, "1, 730"), ("p", 0, "731, 1500"), ("cmd.s", 0, "1, 5")] {
            try await connection.query(
                """
                INSERT INTO inbox (day, publisher, stream, lane, seq, event_id, type, at, body, link)
                SELECT (now() AT TIME ZONE 'UTC')::date - \(ago), 'p', '\(stream)', 'main', seq, gen_random_uuid(), 't' || seq % 3,
                    now() + seq * interval '1 ms', convert_to('\(stream) ' || seq, 'UTF8'),
                    CASE WHEN seq > 1 THEN substr(sha256(seq::text::bytea), 1, 16) END
                FROM generate_series(\(range)) AS seq WHERE seq <> 1000
                """)
        }
        func everything() async throws -> [String] {
            try await connection.query(
                """
                SELECT concat_ws('|', day, publisher, stream, lane, seq, event_id, type, at, link, body) AS line FROM inbox
                ORDER BY stream, seq
                """
            ).map { try $0.string("line") }
        }
        let before = try await everything()
        #expect(before.count == 1504)
        try await migrate()
        #expect(try await everything() == before)
        func page(_ start: Int64, _ wanted: Int64) async throws -> [Int64] {
            try await pool.query(
                "SELECT seq, body FROM inbox_page('p', 'p', 'main', $1, $2)", [.int(start), .int(wanted)]
            ).map { row in
                #expect(try row.bytes("body") == Array("p \(try row.int("seq"))".utf8))
                return try row.int("seq")
            }
        }
        let pages = [
            try await page(-1, 3), try await page(99, 3), try await page(729, 3), try await page(999, 2),
            try await page(1000, 1), try await page(1500, 9), try await page(1501, 9),
        ]
        #expect(pages == [[1, 2, 3], [99, 100, 101], [729, 730, 731], [999, 1001], [1001], [1500], []])
        #expect(try await page(700, 500).count == 500)
        await pool.close()
    }

    /// A log as it was before a migration, and what brings it up to date.
    private func log(before number: Int) async throws -> (
        PostgresConnection, PostgresPool, migrate: @Sendable () async throws -> Void
    ) {
        let schema = "o\(UInt32.random(in: 0 ... .max))"
        let configuration = PostgresConfiguration(url: testDatabase ?? "", applicationName: "old", schema: schema)
        let connection = try await PostgresConnection(configuration)
        try await connection.query("CREATE SCHEMA \(schema)")
        let pool = PostgresPool(configuration)
        @Sendable func migrate(_ migrations: [Migration]) async throws {
            _ = try await Migrator(schema: schema, migrations, checksum: { hex(sha256(Array($0.utf8))) }).migrate(pool)
        }
        try await migrate(EventBus.migrations.filter { $0.number < number })
        return (connection, pool, { try await migrate(EventBus.migrations) })
    }

    /// - Parameter days: how many days ago, and how many events.
    private func fill(_ connection: PostgresConnection, _ lane: Lane, _ days: [(Int, Int)]) async throws -> StreamHead {
        var head = StreamHead(stream: "p", lane: lane, epoch: 1, term: 1, seq: 0, link: .zero)
        let name: [Parameter] = [.text("p"), .text(lane.rawValue)]
        for (ago, count) in days {
            let day = "((now() AT TIME ZONE 'UTC')::date - \(ago))"
            let (first, before) = (head.seq + 1, head.link)
            var (seqs, links, bodies): ([Int64], [[UInt8]], [[UInt8]]) = ([], [], [])
            for _ in 0..<count {
                head.seq += 1
                let body = Array("\(lane.rawValue) \(head.seq)".utf8)
                head.link = head.link.next(seq: head.seq, body: body)
                seqs.append(head.seq)
                links.append(head.link.bytes)
                bodies.append(body)
            }
            try await connection.query(
                """
                WITH said AS (
                    INSERT INTO event (day, stream, lane, key, type, event_id, at, digest, body)
                    SELECT \(day), $1, $2, 'k', 't', gen_random_uuid(), now(), sha256(b.body), b.body
                    FROM unnest($3::bytea[]) AS b(body) RETURNING id, day, body)
                INSERT INTO event_no (day, stream, lane, seq, event_day, event_id, link)
                SELECT \(day), $1, $2, n.seq, s.day, s.id, n.link
                FROM unnest($3::bytea[], $4::bigint[], $5::bytea[]) AS n(body, seq, link) JOIN said AS s USING (body)
                """, name + [.byteArrays(bodies), .ints(seqs), .byteArrays(links)])
            try await connection.query(
                "INSERT INTO day_range (stream, lane, day, first, last, before) VALUES ($1, $2, \(day), $3, $4, $5)",
                name + [.int(first), .int(head.seq), .bytes(before.bytes)])
        }
        try await connection.query(
            "INSERT INTO stream_head (stream, lane, term, seq, link) VALUES ($1, $2, 1, $3, $4)",
            name + [.int(head.seq), .bytes(head.link.bytes)])
        return head
    }
}
