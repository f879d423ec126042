import Logging
import Postgres
import Primitives
import Synchronization

/// Numbers newly visible events by snapshot difference, links them into the chain, and only after a durable
/// COMMIT hands them on to be published.
///
/// There is one per schema: it holds a session advisory lock and a term, and every stamp runs `WHERE term =
/// mine`. Gap-free, insert-only, without a lock on writers; a long transaction elsewhere holds nothing
/// back (reference messaging 48).
final class Stamper: Sendable {
    typealias Publish = @Sendable (_ head: StreamHead, _ before: Link, [RecentEvents.Entry]) -> Void

    private let schema: String
    private let streams: [String]
    private let configuration: PostgresConfiguration
    private let log: Logger
    private let publish: Publish
    private let signal = Signal()
    let lease = LeaseState()

    /// Events numbered in one transaction at most; a larger tick goes on in the next.
    static let tickLimit = 500
    /// Seconds between looks when nobody pokes.
    static let pollPause = 0.25

    init(
        schema: String, streams: [String], configuration: PostgresConfiguration, log: Logger,
        publish: @escaping Publish
    ) {
        self.schema = schema
        self.streams = streams
        self.configuration = configuration
        self.log = log
        self.publish = publish
    }

    /// Says that events were committed.
    func poke() { signal.poke() }

    /// Runs until cancelled: takes the lease, stamps, and takes it anew when its session was lost.
    func run() async throws {
        var backoff = Backoff()
        while !Task.isCancelled {
            do {
                try await lead { backoff.reset() }
            } catch is CancellationError {
                return
            } catch {
                lease.lose("\(error)")
                log.warning("stamper paused", metadata: ["reason": "\(error)"])
                try? await Task.sleep(for: .seconds(backoff.next()))
            }
        }
    }

    private func lead(_ settled: () -> Void) async throws {
        let connection = try await PostgresConnection(configuration)
        defer { Task { await connection.close() } }
        let rows = try await connection.query(
            "SELECT pg_try_advisory_lock(hashtextextended($1 || '/lease', 0)) AS mine",
            [.text(schema)])
        guard try rows[0].bool("mine") else {
            lease.lose("another instance holds the lease")
            throw LeaseHeldElsewhere()
        }
        var partitionsAreDue = try await makePartitions(connection)
        var heads = try await takeTerm(connection)
        lease.take(heads)
        settled()
        while !Task.isCancelled {
            for index in heads.indices {
                while try await tick(connection, &heads[index]) {}
            }
            if partitionsAreDue < .now { partitionsAreDue = try await makePartitions(connection) }
            await signal.wait(seconds: Self.pollPause)
        }
    }

    /// Makes the partitions of the days ahead; when it is tried next. They are made two days early, and making one locks
    /// the table for a moment: beside a long reader (a dump) it gives way and tries again.
    private func makePartitions(_ connection: PostgresConnection) async throws -> ContinuousClock.Instant {
        do {
            try await connection.transaction { transaction in
                try await transaction.query("SET LOCAL lock_timeout = '300ms'")
                try await transaction.query("SELECT ensure_partitions()")
            }
            return .now + .seconds(3600)
        } catch let error as PostgresError where error.sqlState == "55P03" {
            log.warning("partitions of the days ahead wait for a lock", metadata: ["reason": "\(error)"])
            return .now + .seconds(60)
        }
    }

    private func takeTerm(_ connection: PostgresConnection) async throws -> [StreamHead] {
        var heads: [StreamHead] = []
        for stream in streams {
            for lane in [Lane.main] {
                let rows = try await connection.query(
                    """
                    INSERT INTO stream_head AS h (stream, lane, term) VALUES ($1, $2, 1)
                    ON CONFLICT (stream, lane) DO UPDATE SET term = h.term + 1
                    RETURNING epoch, term, seq, link, pg_snapshot_xmax(snapshot)::text::numeric
                        > pg_snapshot_xmax(pg_current_snapshot())::text::numeric AS foreign_cluster
                    """, [.text(stream), .text(lane.rawValue)])
                let row = rows[0]
                guard try row.bool("foreign_cluster") == false else { throw RestoredElsewhere() }
                let oldest = try await connection.query(
                    "SELECT min(first) AS oldest FROM day_range WHERE stream = $1 AND lane = $2",
                    [.text(stream), .text(lane.rawValue)])
                heads.append(
                    StreamHead(
                        stream: stream, lane: lane, epoch: try row.int("epoch"),
                        term: try row.int("term"), seq: try row.int("seq"),
                        link: Link(try row.bytes("link")) ?? .zero,
                        oldest: try oldest[0].optionalInt("oldest") ?? 1))
            }
        }
        return heads
    }

    /// Numbers up to ``tickLimit`` events. True when there may be more.
    private func tick(_ connection: PostgresConnection, _ head: inout StreamHead) async throws -> Bool {
        let before = head
        let stamped = try await connection.transaction { transaction in
            try await Self.stamp(transaction, before)
        }
        guard let stamped else { return false }
        head = stamped.head
        lease.move(head)
        publish(head, before.link, stamped.entries)
        return stamped.entries.count == Self.tickLimit
    }

    private struct Stamped: Sendable {
        let head: StreamHead
        let entries: [RecentEvents.Entry]
    }

    private static func stamp(_ transaction: Transaction, _ head: StreamHead) async throws -> Stamped? {
        let name: [Parameter] = [.text(head.stream), .text(head.lane.rawValue)]
        let locked = try await transaction.query(
            """
            SELECT seq, link, pg_snapshot_xmax(snapshot)::text AS xmax,
                (SELECT '{' || coalesce(string_agg(x::text, ','), '') || '}'
                   FROM pg_snapshot_xip(snapshot) AS x) AS xip,
                target::text AS target, last_id,
                (least(ticked_day, (now() AT TIME ZONE 'UTC')::date) - 1)::text AS since
            FROM stream_head WHERE stream = $1 AND lane = $2 AND term = $3 FOR UPDATE
            """, name + [.int(head.term)])
        guard let old = locked.first, try old.int("seq") == head.seq else { throw Fenced() }
        let target = try old.optionalString("target")
        // A second statement, for a snapshot taken after the lock. Constants and two index scans: as a join
        // with the head it would become a hash over the whole table.
        var look = Statement(
            """
            SELECT c.snapshot::text AS snapshot, n.id, n.day::text AS day, n.digest, n.body
            FROM (SELECT coalesce($6::pg_snapshot, pg_current_snapshot()) AS snapshot) AS c
            LEFT JOIN (
                SELECT id, day, digest, body FROM (
                    SELECT id, day, digest, body, xid FROM event
                    WHERE stream = $1 AND lane = $2 AND day >= $3::date AND xid >= $4::xid8
                    UNION ALL
                    SELECT id, day, digest, body, xid FROM event
                    WHERE stream = $1 AND lane = $2 AND day >= $3::date AND xid = ANY($5::xid8[])
                ) AS e
                WHERE id > $7 AND ($6::pg_snapshot IS NULL OR pg_visible_in_snapshot(xid, $6::pg_snapshot))
                ORDER BY id LIMIT \(tickLimit)
            ) AS n ON true
            """,
            name + [
                .text(try old.string("since")), .text(try old.string("xmax")),
                .text(try old.string("xip")), .text(target),
                .int(target == nil ? 0 : try old.int("last_id")),
            ])
        look.isPlannedEachTime = true
        let fresh = try await transaction.run([look])[0]
        var seq = head.seq
        var link = head.link
        var entries: [RecentEvents.Entry] = []
        var ids: [Int64?] = []
        var days: [String?] = []
        for row in fresh {
            guard let id = try row.optionalInt("id") else { break }
            seq += 1
            link = link.next(seq: seq, digest: try row.bytes("digest"))
            entries.append(.init(seq: seq, link: link, body: try row.bytes("body")))
            ids.append(id)
            days.append(try row.string("day"))
        }
        if entries.isEmpty, target == nil { return nil }
        var after = head
        after.seq = seq
        after.link = link
        let snapshot = try fresh[0].string("snapshot")
        let complete = entries.count < tickLimit
        var statements: [Statement] = []
        if !entries.isEmpty {
            statements.append(
                Statement(
                    """
                    INSERT INTO event_no (stream, lane, seq, event_day, event_id, link)
                    SELECT $1, $2, * FROM unnest($3::bigint[], $4::text[]::date[], $5::bigint[], $6::bytea[])
                    """,
                    name + [
                        .ints(entries.map(\.seq)), .texts(days), .ints(ids),
                        .byteArrays(entries.map(\.link.bytes)),
                    ]))
            statements.append(
                Statement(
                    """
                    INSERT INTO day_range AS d (stream, lane, day, first, last)
                    VALUES ($1, $2, (now() AT TIME ZONE 'UTC')::date, $3, $4)
                    ON CONFLICT (stream, lane, day) DO UPDATE SET last = excluded.last
                    """, name + [.int(head.seq + 1), .int(seq)]))
        }
        statements.append(
            Statement(
                """
                UPDATE stream_head SET seq = $4, link = $5, last_id = $6,
                    snapshot = CASE WHEN $7 THEN $8::pg_snapshot ELSE snapshot END,
                    target = CASE WHEN $7 THEN NULL ELSE $8::pg_snapshot END,
                    ticked_day = CASE WHEN $7 THEN (now() AT TIME ZONE 'UTC')::date ELSE ticked_day END
                WHERE stream = $1 AND lane = $2 AND term = $3
                """,
                name + [
                    .int(head.term), .int(seq), .bytes(link.bytes), .int(ids.last.flatMap { $0 } ?? 0),
                    .bool(complete), .text(snapshot),
                ]))
        try await transaction.run(statements)
        return Stamped(head: after, entries: entries)
    }
}

struct Fenced: Error, CustomStringConvertible {
    let description = "another instance has taken over this schema's numbering"
}
struct LeaseHeldElsewhere: Error, CustomStringConvertible {
    let description = "another instance holds the lease; standing by"
}
struct RestoredElsewhere: Error, CustomStringConvertible {
    let description =
        "the log comes from another database cluster: its transaction numbers are ahead of this one's"
}

/// Whether this process leads its schema, and where its streams stand.
final class LeaseState: Sendable {
    private struct State {
        var heads: [String: StreamHead] = [:]
        var reason: String? = "not started"
    }
    private let state = Mutex(State())

    func take(_ heads: [StreamHead]) {
        state.withLock { state in
            state.reason = nil
            for head in heads { state.heads["\(head.stream)/\(head.lane)"] = head }
        }
    }
    func move(_ head: StreamHead) {
        state.withLock { $0.heads["\(head.stream)/\(head.lane)"] = head }
    }
    func lose(_ reason: String) { state.withLock { $0.reason = reason } }

    /// Nil while this process leads; else why it does not.
    var missing: String? { state.withLock { $0.reason } }
    var heads: [StreamHead] {
        state.withLock { $0.reason == nil ? Array($0.heads.values) : [] }
    }
    func head(_ stream: String, _ lane: Lane) -> StreamHead? {
        state.withLock { $0.heads["\(stream)/\(lane)"] }
    }
}
