import Foundation
import Logging
import Postgres
import Primitives
import Sodium
import Testing

@testable import Messaging

/// Days of a log: sealed when they are over, dropped when the policy says so and nobody needs them.
@Suite(.serialized, .enabled(if: testDatabase != nil, "THROUGHLINE_TEST_DATABASE is not set: run deploy/test"))
struct LogKeeperTests {
    /// A schema with some events, five unless told otherwise, on each of some days past.
    private struct Log {
        let schema = "k\(UInt32.random(in: 0 ... .max))"
        let connection: PostgresConnection
        let key = SigningKey(seed: randomBytes(32))!
        var head: StreamHead

        init(days: [Int], perDay: Int = 5) async throws {
            let configuration = PostgresConfiguration(
                url: testDatabase ?? "", applicationName: "keeper", schema: schema)
            connection = try await PostgresConnection(configuration)
            try await connection.query("CREATE SCHEMA \(schema)")
            let pool = PostgresPool(configuration)
            _ = try await Migrator(schema: schema, EventBus.migrations, checksum: { hex(sha256(Array($0.utf8))) })
                .migrate(pool)
            await pool.close()
            head = StreamHead(stream: "p", lane: .main, epoch: 1, term: 1, seq: 0, link: .zero)
            try await connection.query("INSERT INTO stream_head (stream, lane, term) VALUES ('p', 'main', 1)")
            for day in days { try await fill(day, perDay) }
            try await connection.query(
                "UPDATE stream_head SET seq = $1, link = $2", [.int(head.seq), .bytes(head.link.bytes)])
        }

        private mutating func fill(_ daysAgo: Int, _ count: Int) async throws {
            let day = "((now() AT TIME ZONE 'UTC')::date - \(daysAgo))"
            let date = try await connection.query("SELECT \(day)::text AS day, to_char(\(day), 'YYYYMMDD') AS name")[0]
            for parent in ["event", "event_run", "inbox_run"] {
                try await connection.query(
                    "CREATE TABLE IF NOT EXISTS \(parent)_\(try date.string("name")) PARTITION OF \(parent) FOR VALUES FROM ('\(try date.string("day"))') TO ('\(try date.string("day"))'::date + 1)"
                )
            }
            let (first, before) = (head.seq + 1, head.link)
            for _ in 0..<count {
                head.seq += 1
                let body = Array("event \(head.seq)".utf8)
                head.link = head.link.next(seq: head.seq, body: body)
                let row = try await connection.query(
                    """
                    INSERT INTO event (day, stream, lane, key, type, event_id, at, digest, body)
                    VALUES (\(day), 'p', 'main', 'k', 't', $1, now(), $2, $3) RETURNING id
                    """, [.id(.make()), .bytes(sha256(body)), .bytes(body)])[0]
                try await connection.query(
                    "INSERT INTO event_run (day, stream, lane, first, last, event_days, event_ids, links) VALUES (\(day), 'p', 'main', $1, $1, ARRAY[\(day)], ARRAY[$2::bigint], ARRAY[$3::bytea])",
                    [.int(head.seq), .int(try row.int("id")), .bytes(head.link.bytes)])
            }
            try await connection.query(
                "INSERT INTO day_range (stream, lane, day, first, last, before) VALUES ('p', 'main', \(day), $1, $2, $3)",
                [.int(first), .int(head.seq), .bytes(before.bytes)])
        }

        func keeper(days: Int = 3650, megabytes: Int = 100_000) -> LogKeeper {
            var log = Logger(label: "keeper")
            log.logLevel = .critical
            return LogKeeper(
                name: "p", policy: RetentionPolicy(days: days, megabytes: megabytes), signing: key, log: log)
        }

        func taken(_ seq: Int) async throws {
            try await connection.query(
                "INSERT INTO subscriber_position (subscriber, stream, lane, seq) VALUES ('s', 'p', 'main', \(seq)) ON CONFLICT (subscriber, stream, lane) DO UPDATE SET seq = excluded.seq"
            )
        }

        func numbers(_ sql: String) async throws -> [Int64] { try await connection.query(sql).map { try $0.int("n") } }
    }

    @Test func daysThatEverybodyHasTakenGoWholeAndTheRestStays() async throws {
        let log = try await Log(days: [9, 8, 1])
        try await log.taken(10)
        var heads = [log.head]
        let keeper = log.keeper(days: 3)
        _ = try await keeper.keep(log.connection, &heads)
        #expect(heads[0].oldest == 11 && keeper.alarms.isEmpty)
        #expect(try await log.numbers("SELECT seq AS n FROM event_no ORDER BY seq") == [11, 12, 13, 14, 15])
        #expect(try await log.numbers("SELECT count(*) AS n FROM event") == [5])
        #expect(try await log.numbers("SELECT count(*) AS n FROM bus_decision WHERE what = 'retention'") == [2])
        // The chain still verifies from where it begins now.
        #expect(
            try await LogVerifier(service: "p", verifying: log.key.verifying).run(log.connection).allSatisfy {
                $0.wrong == nil
            })
    }

    @Test func whatASubscriberHasNotTakenIsHeldAndAlarmed() async throws {
        let log = try await Log(days: [9, 8, 1])
        try await log.taken(7)
        var heads = [log.head]
        let keeper = log.keeper(days: 3)
        _ = try await keeper.keep(log.connection, &heads)
        #expect(heads[0].oldest == 6)
        #expect(keeper.alarms["p/main"]?.contains("s at #7") == true)
        try await log.taken(10)
        _ = try await keeper.keep(log.connection, &heads)
        #expect(heads[0].oldest == 11 && keeper.alarms.isEmpty)
    }

    @Test func aLogBeyondItsSizeGivesItsOldestDayUpAloud() async throws {
        let log = try await Log(days: [2, 1])
        try await log.taken(0)
        var heads = [log.head]
        let keeper = log.keeper(megabytes: 0)
        _ = try await keeper.keep(log.connection, &heads)
        #expect(heads[0].oldest == 6 && keeper.alarms["p/main"]?.contains("dropped below a subscriber") == true)
    }

    /// Each round one day, the oldest of all sequences, and its room with it.
    @Test func aLogBeyondItsSizeGivesUpNoMoreThanItMust() async throws {
        let log = try await Log(days: [5, 4, 3])
        try await log.connection.query("INSERT INTO stream_head (stream, lane, term) VALUES ('p', 'bulk', 1)")
        try await log.connection.query(
            "INSERT INTO day_range (stream, lane, day, first, last) SELECT 'p', 'bulk', day, 1, 1 FROM day_range ORDER BY day DESC LIMIT 1"
        )
        let bulk = StreamHead(stream: "p", lane: .bulk, epoch: 1, term: 1, seq: 1, link: .zero)
        var heads = [log.head, bulk]
        let keeper = log.keeper(megabytes: 0)
        _ = try await keeper.keep(log.connection, &heads)
        #expect(heads[0].oldest == 6 && heads[1].oldest == bulk.oldest, "its only day is younger than others")
        #expect(try await log.numbers("SELECT count(*) AS n FROM event") == [10], "the room is free at once")
        _ = try await keeper.keep(log.connection, &heads)
        #expect(heads[0].oldest == 11 && heads[1].oldest == bulk.oldest)
        #expect(try await log.numbers("SELECT count(*) AS n FROM event") == [5])
        // What is not numbered yet may lie in a day that nothing points to: then no file goes.
        _ = try await keeper.keep(log.connection, &heads, isCaughtUp: false)
        #expect(try await log.numbers("SELECT count(*) AS n FROM event") == [5])
    }

    /// The numbering waits for some pages of a chain, never for a day of a mass.
    @Test func aLargeDayIsSealedInParts() async throws {
        let log = try await Log(days: [2], perDay: 5600)
        var heads = [log.head]
        let keeper = log.keeper()
        _ = try await keeper.keep(log.connection, &heads)
        #expect(keeper.isSealing)
        #expect(try await log.numbers("SELECT count(*) AS n FROM segment") == [0])
        try await keeper.followOn(log.connection, heads)
        #expect(!keeper.isSealing && keeper.alarms.isEmpty)
        #expect(try await log.numbers("SELECT count AS n FROM segment") == [5600])
    }

    /// A day whose numbers are gone is not numbered again when the log comes to another cluster.
    @Test func whatWasDroppedIsNotNumberedAgainInAnotherCluster() async throws {
        let log = try await Log(days: [9, 1])
        try await log.taken(10)
        var heads = [log.head]
        let keeper = log.keeper(days: 3)
        _ = try await keeper.keep(log.connection, &heads)
        try await log.connection.query("DELETE FROM event_run WHERE last <= 5")
        #expect(try await log.numbers("SELECT first AS n FROM day_range") == [6])
        try await log.connection.query(
            "UPDATE stream_head SET system_identifier = 1, snapshot = '900000000:900000000:'")
        let (opened, news) = try await HeadOpening.open(["p"], log.connection)
        let main = try #require(opened.first { $0.lane == .main })
        #expect(main.seq == 10 && main.epoch == 2 && news.contains { $0.contains("0 numbered") })
    }

    @Test func finishedDaysAreSealedAndAFlippedByteIsFound() async throws {
        let log = try await Log(days: [3, 2, 1])
        var heads = [log.head]
        // One day a round.
        let keeper = log.keeper()
        for _ in 0..<3 { _ = try await keeper.keep(log.connection, &heads) }
        let verifier = LogVerifier(service: "p", verifying: log.key.verifying)
        let good = try await verifier.run(log.connection)[0]
        #expect(good.wrong == nil && good.events == 15 && good.segments >= 2)
        try await log.connection.query("UPDATE event SET body = 'event 8!' WHERE id = 8")
        #expect(try await verifier.run(log.connection)[0].wrong == "the body of #8 was changed after it was written")
        // Who changes the digest and the links as well still cannot sign.
        try await log.connection.query("UPDATE event SET body = 'event 8' WHERE id = 8")
        try await log.connection.query("UPDATE segment SET first = first + 1, count = count - 1 WHERE first = 1")
        #expect(try await verifier.run(log.connection)[0].wrong?.contains("seal") == true)
    }

    @Test func aDayWhoseChainIsBrokenIsNotSealed() async throws {
        let log = try await Log(days: [2])
        try await log.connection.query("UPDATE event SET digest = sha256('other') WHERE id = 3")
        var heads = [log.head]
        let keeper = log.keeper()
        _ = try await keeper.keep(log.connection, &heads)
        #expect(keeper.alarms["p/main"]?.contains("#3 does not fit the chain") == true)
        #expect(try await log.numbers("SELECT count(*) AS n FROM segment") == [0])
    }
}
