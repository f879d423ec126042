import Postgres
import Primitives

/// One transaction of the stamper: numbers newly visible events by snapshot difference and links them into the chain.
enum StampingTick {
    struct Stamped: Sendable {
        let head: StreamHead
        let entries: [RecentEvents.Entry]
        /// Whether everything visible has its number.
        let isComplete: Bool
    }

    /// Events numbered in one transaction at most; a larger tick goes on in the next.
    static let limit = 2000

    /// What a tick starts from: the snapshot up to which everything is numbered.
    struct Basis: Sendable {
        let snapshot: String
        /// Set while a large tick is under way: what is visible in this one is numbered.
        var target: String?
        let above: Int64
        let since: String

        fileprivate init(_ row: Row) throws {
            snapshot = try row.string("snapshot")
            target = try row.optionalString("target")
            above = try row.int("above")
            since = try row.string("since")
        }

        private init(snapshot: String, above: Int64, since: String) {
            self.snapshot = snapshot
            self.above = above
            self.since = since
        }

        /// After a complete tick; nil while a large one goes on: the next reads it anew.
        fileprivate func moved(to snapshot: String, _ isComplete: Bool) -> Basis? {
            isComplete ? Basis(snapshot: snapshot, above: target == nil ? above : 0, since: since) : nil
        }

        fileprivate func isSame(_ other: Basis) -> Bool {
            snapshot == other.snapshot && target == nil && other.target == nil && above == other.above
        }

        /// Rows visible now (or in `target`) and not in `snapshot`: index scans with constants, day by day. As a join with the
        /// head it would become a hash over the whole table; on the partitioned table itself it would have to be planned each
        /// time, which takes longer than all the rest of a tick. `id + 0`: a day that was empty when it was planned would else be
        /// walked through by its ids for the rest of it.
        fileprivate func look(_ name: [Parameter], _ days: [EventDay]) -> Statement {
            // xmin:xmax:xip,xip,…
            let parts = snapshot.split(separator: ":", omittingEmptySubsequences: false)
            let arms = days.filter { $0.day >= since }.flatMap { day in
                ["xid >= $3::xid8", "xid = ANY($4::xid8[])"].map {
                    "SELECT id, day, digest, event_id, xid FROM \"\(day.table)\" WHERE stream = $1 AND lane = $2 AND \($0)"
                }
            }
            var look = Statement(
                """
                SELECT c.snapshot::text AS snapshot, n.id, n.day::text AS day, n.digest, n.event_id
                FROM (SELECT coalesce($5::pg_snapshot, pg_current_snapshot()) AS snapshot) AS c
                LEFT JOIN (
                    SELECT id, day, digest, event_id FROM (\(arms.joined(separator: " UNION ALL "))) AS e
                    WHERE id + 0 > $6 AND ($5::pg_snapshot IS NULL OR pg_visible_in_snapshot(xid, $5::pg_snapshot))
                    ORDER BY id LIMIT \(limit)
                ) AS n ON true
                """,
                name + [
                    .text(parts.count > 1 ? String(parts[1]) : "1"), .text("{\(parts.count > 2 ? parts[2] : "")}"),
                    .text(target), .int(above),
                ])
            look.isAnsweredInBinary = true
            return look
        }
    }

    /// A day's own table of events.
    struct EventDay: Sendable {
        let day, table: String

        /// All that there are now, oldest first.
        static func all(_ connection: some StatementRunner) async throws -> [EventDay] {
            try await connection.query(
                """
                SELECT to_date(right(c.relname, 8), 'YYYYMMDD')::text AS day, c.relname AS name
                FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
                WHERE i.inhparent = 'event'::regclass ORDER BY c.relname
                """
            ).map { EventDay(day: try $0.string("day"), table: try $0.string("name")) }
        }
    }

    /// Nil when there was nothing to number; then nothing is written.
    ///
    /// - Parameters:
    ///   - known: what the last tick of this term left behind: then the look travels with the lock in one round trip.
    ///   - isStale: writes down how far it has looked also when there was nothing.
    static func run(
        _ transaction: Transaction, _ head: StreamHead, _ days: [EventDay], _ known: Basis?, _ written: WrittenBodies,
        isStale: Bool
    ) async throws -> (stamped: Stamped?, basis: Basis?) {
        let name: [Parameter] = [.text(head.stream), .text(head.lane.rawValue)]
        let lock = Statement(
            """
            SELECT seq, snapshot::text AS snapshot, target::text AS target,
                greatest(rebased_id, CASE WHEN target IS NULL THEN 0 ELSE last_id END) AS above,
                (least(ticked_day, (now() AT TIME ZONE 'UTC')::date) - 1)::text AS since
            FROM stream_head WHERE stream = $1 AND lane = $2 AND term = $3 FOR UPDATE
            """, name + [.int(head.term)])
        // The look is a statement of its own, for a snapshot taken after the lock.
        let answers = try await transaction.run([lock] + (known.map { [$0.look(name, days)] } ?? []))
        guard let row = answers[0].first, try row.int("seq") == head.seq else { throw Fenced() }
        let basis = try Basis(row)
        let fresh: Rows
        if let known, known.isSame(basis) {
            fresh = answers[1]
        } else {
            fresh = try await transaction.run([basis.look(name, days)])[0]
        }
        var after = head
        var numbered: [NumberedEvent] = []
        var ids: [ID] = []
        for row in fresh {
            guard let id = try row.optionalInt("id") else { break }
            after.seq += 1
            after.link = after.link.next(seq: after.seq, digest: try row.bytes("digest"))
            numbered.append(.init(seq: after.seq, link: after.link, day: try row.string("day"), id: id))
            ids.append(try row.id("event_id"))
        }
        if numbered.isEmpty, basis.target == nil, !isStale { return (nil, basis) }
        let isComplete = numbered.count < limit
        let bodies = try await bodies(of: numbered, ids, written, transaction)
        var statements = numbered.isEmpty ? [] : NumberedEvent.insert(numbered, after, before: head.link)
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
                    .int(head.term), .int(after.seq), .bytes(after.link.bytes),
                    .int(isComplete ? 0 : numbered.last?.id ?? 0), .bool(isComplete),
                    .text(try fresh[0].string("snapshot")),
                ]))
        try await transaction.commit(after: statements)
        let entries = zip(numbered, bodies).map { RecentEvents.Entry(seq: $0.seq, link: $0.link, body: $1) }
        return (
            Stamped(head: after, entries: entries, isComplete: isComplete),
            basis.moved(to: try fresh[0].string("snapshot"), isComplete)
        )
    }

    /// What this process has written it still holds; only what others wrote, or what was forgotten, is read back.
    private static func bodies(
        of events: [NumberedEvent], _ ids: [ID], _ written: WrittenBodies, _ transaction: Transaction
    ) async throws -> [[UInt8]] {
        var bodies = written.take(ids)
        let missing = bodies.indices.filter { bodies[$0] == nil }
        if !missing.isEmpty {
            let rows = try await transaction.query(
                """
                SELECT e.body FROM unnest($1::text[]::date[], $2::bigint[]) WITH ORDINALITY AS w(day, id, place)
                JOIN event AS e ON e.day = w.day AND e.id = w.id ORDER BY w.place
                """, [.texts(missing.map { events[$0].day }), .ints(missing.map { events[$0].id })])
            for (index, row) in zip(missing, rows) { bodies[index] = try row.bytes("body") }
        }
        return bodies.compactMap { $0 }
    }
}
