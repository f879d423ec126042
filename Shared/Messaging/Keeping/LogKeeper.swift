import Logging
import Postgres
import Primitives
import Sodium
import Synchronization

/// Keeps a service's log in order by the day: makes the partitions ahead, seals finished days, and drops those that the policy
/// no longer keeps. Runs on the stamper's own session, so that only the leader does it.
final class LogKeeper: Sendable {
    private let name: String
    private let policy: RetentionPolicy
    private let signing: SigningKey?
    private let log: Logger
    private let alarmed = Mutex<[String: String]>([:])
    /// Chains that are being followed, by sequence.
    private let sealing = Mutex<[String: Sealing]>([:])

    /// Seconds between rounds.
    static let pause = 600.0

    init(name: String, policy: RetentionPolicy, signing: SigningKey?, log: Logger) {
        self.name = name
        self.policy = policy
        self.signing = signing
        self.log = log
    }

    /// A finished day on its way to its seal.
    private struct Sealing: Sendable {
        let day: String
        let first, last: Int64
        var reader: ChainReader
    }
    /// Pages of a chain that are followed in one go: the numbering waits meanwhile.
    private static let pagesAtOnce = 10

    /// What stands against the policy now, in words, by sequence.
    var alarms: [String: String] { alarmed.withLock { $0 } }

    /// A chain is only half followed.
    var isSealing: Bool { sealing.withLock { !$0.isEmpty } }

    /// Follows the chains of days that are on their way to their seals a little further.
    func followOn(_ connection: PostgresConnection, _ heads: [StreamHead]) async throws {
        for head in heads where sealing.withLock({ $0[head.sequence] != nil }) {
            var words: String?
            do { words = try await seal(head, connection) } catch let error as PostgresError where error.sqlState != nil
            {
                // What the server refuses must not stop the numbering; the next round begins anew.
                _ = sealing.withLock { $0.removeValue(forKey: head.sequence) }
                words = "its days could not be kept in order: \(error)"
            }
            guard let alarm = words else { continue }
            alarmed.withLock { $0[head.sequence] = alarm }
            log.error("log alarm", metadata: ["stream": "\(head.sequence)", "what": "\(alarm)"])
        }
    }

    /// One round; when the next is due.
    ///
    /// - Parameter isCaughtUp: all that is visible has its number: a day that is dropped takes nothing unnumbered with it.
    func keep(_ connection: PostgresConnection, _ heads: inout [StreamHead], isCaughtUp: Bool = true) async throws
        -> ContinuousClock.Instant
    {
        let next = try await makePartitions(connection)
        var words: [String: String] = [:]
        // One day a round, and the oldest of all sequences: a younger one of another sequence would free nothing.
        let oldest = try await connection.query("SELECT min(day)::text AS day FROM day_range")[0].optionalString("day")
        for index in heads.indices {
            do {
                if let alarm = try await seal(heads[index], connection) { words[heads[index].sequence] = alarm }
                if let alarm = try await drop(&heads[index], oldest, connection) {
                    words[heads[index].sequence] = alarm
                }
            } catch let error as PostgresError where error.sqlState != nil {
                // What the server refuses must not stop the numbering.
                _ = sealing.withLock { $0.removeValue(forKey: heads[index].sequence) }
                words[heads[index].sequence] = "its days could not be kept in order: \(error)"
            }
        }
        do { if isCaughtUp { try await dropEmptied(connection) } } catch let error as PostgresError
            where error.sqlState != nil
        {
            log.warning("old days wait", metadata: ["reason": "\(error)"])
        }
        let found = words
        for (sequence, alarm) in found where alarms[sequence] != alarm {
            log.error("log alarm", metadata: ["stream": "\(sequence)", "what": "\(alarm)"])
        }
        alarmed.withLock { $0 = found }
        return min(next, .now + .seconds(Self.pause))
    }

    /// Makes the partitions of the days ahead; when it is tried next. They are made two days early; beside a long reader (a
    /// dump) that stands in the way it gives way and tries again.
    func makePartitions(_ connection: PostgresConnection) async throws -> ContinuousClock.Instant {
        do {
            try await connection.transaction { transaction in
                try await transaction.query("SET LOCAL lock_timeout = '300ms'")
                try await transaction.query("SELECT ensure_partitions()")
            }
            return .now + .seconds(Self.pause)
        } catch let error as PostgresError where error.sqlState == "55P03" {
            log.warning("partitions of the days ahead wait for a lock", metadata: ["reason": "\(error)"])
            return .now + .seconds(60)
        }
    }

    // MARK: sealing

    /// Signs the oldest finished day that is not signed yet, one a round, once its chain has been followed, some pages at a time. Words when it
    /// does not fit: it is not signed then.
    private func seal(_ head: StreamHead, _ connection: PostgresConnection) async throws -> String? {
        let known = sealing.withLock { $0[head.sequence] }
        guard let signing else { return nil }
        var found = known
        if found == nil { found = try await unsealed(head, connection) }
        guard var one = found else { return nil }
        for _ in 0..<Self.pagesAtOnce where one.reader.seq < one.last {
            guard try await one.reader.advance(to: one.last, connection, withBodies: false) else { break }
        }
        let isUnderWay = one.reader.wrong == nil && one.reader.seq < one.last
        let state = isUnderWay ? one : nil
        sealing.withLock { $0[head.sequence] = state }
        if let wrong = one.reader.wrong { return "\(one.day) is not sealed: \(wrong)" }
        if isUnderWay { return nil }
        let segment = Segment(
            service: name, stream: head.stream, lane: head.lane, day: one.day, count: one.last - one.first + 1,
            first: one.first, last: one.last, link: one.reader.link)
        try await connection.query(
            """
            INSERT INTO segment (stream, lane, day, count, first, last, link, signature)
            VALUES ($1, $2, $3::date, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING
            """,
            [
                .text(head.stream), .text(head.lane.rawValue), .text(one.day), .int(segment.count), .int(one.first),
                .int(one.last), .bytes(one.reader.link.bytes), .bytes(signing.sign(segment.bytes)),
            ])
        return nil
    }

    private func unsealed(_ head: StreamHead, _ connection: PostgresConnection) async throws -> Sealing? {
        let days = try await connection.query(
            """
            SELECT d.day::text AS day, d.first, d.last, d.before FROM day_range AS d
            LEFT JOIN segment AS s USING (stream, lane, day)
            WHERE d.stream = $1 AND d.lane = $2 AND s.day IS NULL
                AND d.day < (now() AT TIME ZONE 'UTC' - interval '1 hour')::date ORDER BY d.day LIMIT 1
            """, [.text(head.stream), .text(head.lane.rawValue)])
        return try days.first.map { row in
            let (first, last) = (try row.int("first"), try row.int("last"))
            let before = try row.optionalBytes("before").flatMap { Link($0) } ?? .zero
            return Sealing(
                day: try row.string("day"), first: first, last: last,
                reader: ChainReader(stream: head.stream, lane: head.lane, seq: first - 1, link: before))
        }
    }

    // MARK: dropping

    /// Gives up the days of one sequence that the policy no longer keeps. Words when something is held, or was given up below a
    /// subscriber.
    ///
    /// - Parameter oldest: the one day that is given up when the log is too large.
    private func drop(_ head: inout StreamHead, _ oldest: String?, _ connection: PostgresConnection) async throws
        -> String?
    {
        let stream = head.stream
        let lane = head.lane.rawValue
        let days = try await connection.query(
            """
            SELECT d.day::text AS day, d.last, d.day < (now() AT TIME ZONE 'UTC')::date - $3::int AS is_old,
                (SELECT string_agg(p.subscriber || ' at #' || p.seq, ', ') FROM subscriber_position AS p
                    WHERE p.stream = $1 AND p.lane = $2 AND p.seq < d.last) AS behind,
                -- Days that were given up and whose files are still there count no more.
                (SELECT coalesce(sum(pg_total_relation_size(i.inhrelid)), 0) / 1048576
                    FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
                    WHERE i.inhparent IN ('event'::regclass, 'event_run'::regclass)
                        AND to_date(right(c.relname, 8), 'YYYYMMDD') >= (SELECT min(day) FROM day_range)) AS megabytes
            FROM day_range AS d
            WHERE d.stream = $1 AND d.lane = $2 AND d.day < (now() AT TIME ZONE 'UTC')::date ORDER BY d.day
            """, [.text(stream), .text(lane), .int(policy.days)])
        var alarm: String?
        for row in days {
            let (day, last) = (try row.string("day"), try row.int("last"))
            let behind = try row.optionalString("behind")
            let isTooLarge = try day == oldest && (row.optionalDouble("megabytes") ?? 0) > Double(policy.megabytes)
            guard try row.bool("is_old") || isTooLarge else { break }
            if let behind, !isTooLarge {
                alarm = "\(day) is kept beyond the policy, for it has not been taken yet: \(behind)"
                break
            }
            if let behind { alarm = "\(day) was dropped below a subscriber, for the log is too large: \(behind)" }
            let words = alarm ?? "every registered subscriber has taken it"
            _ = try await connection.transaction { transaction in
                try await transaction.run([
                    Statement(
                        "DELETE FROM day_range WHERE stream = $1 AND lane = $2 AND day = $3::date",
                        [.text(stream), .text(lane), .text(day)]),
                    BusDecision.record(
                        by: "throughline", "retention", "\(stream)/\(lane)", reason: words,
                        outcome: "\(day) up to #\(last) is no longer kept"),
                ])
            }
            // What is given up needs no seal.
            sealing.withLock { if $0[head.sequence]?.day == day { $0[head.sequence] = nil } }
            head.oldest = last + 1
            // The room is counted anew after the day is gone.
            if isTooLarge { break }
        }
        return alarm
    }

    /// Drops the partitions of days that no sequence keeps. A day of `event` goes only when no kept number points into it.
    private func dropEmptied(_ connection: PostgresConnection) async throws {
        let rows = try await connection.query(
            """
            SELECT c.relname AS name, p.relname AS parent, to_date(right(c.relname, 8), 'YYYYMMDD')::text AS day
            FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid JOIN pg_class AS p ON p.oid = i.inhparent
            WHERE i.inhparent IN ('event'::regclass, 'event_run'::regclass, 'inbox_run'::regclass)
                AND to_date(right(c.relname, 8), 'YYYYMMDD') < (now() AT TIME ZONE 'UTC')::date - 1
            ORDER BY p.relname DESC, c.relname
            """)
        for row in rows {
            let (name, parent, day) = (try row.string("name"), try row.string("parent"), try row.string("day"))
            let days = policy.days
            try await connection.transaction { transaction in
                try await transaction.query("SET LOCAL lock_timeout = '300ms'")
                let isDue: String =
                    switch parent {
                    case "inbox_run": "SELECT $1::date < (now() AT TIME ZONE 'UTC')::date - \(days) AS due"
                    case "event_run":
                        "SELECT $1::date < (SELECT coalesce(min(day), 'infinity') FROM day_range) AS due"
                    default:
                        """
                        SELECT $1::date < (SELECT coalesce(min(day), 'infinity') FROM day_range)
                            AND NOT EXISTS (SELECT 1 FROM event_run WHERE $1::date = ANY (event_days)) AS due
                        """
                    }
                if try await transaction.query(isDue, [.text(day)])[0].bool("due") {
                    try await transaction.query("DROP TABLE \"\(name)\"")
                }
            }
        }
    }
}
