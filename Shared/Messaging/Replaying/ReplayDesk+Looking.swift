import Contracts
import Postgres
import Primitives

/// Previews and lists.
extension ReplayDesk {
    private struct RolledBack: Error {}

    /// Runs the list through the real handlers in one transaction that is always rolled back, and keeps what they did.
    func preview(_ id: ID) async throws {
        let rows = try await pool.query(
            "SELECT \(ReplayItem.columns), i.body FROM replay_item AS i WHERE i.replay_id = $1 ORDER BY i.place LIMIT \(Self.previewCount)",
            [.id(id)])
        let items = try rows.map { (try ReplayItem($0), try $0.bytes("body")) }
        let found = Found()
        do {
            try await transaction(.relaxed) { transaction in
                try await run(items, id, transaction, found)
                throw RolledBack()
            }
        } catch is RolledBack {}
        try await pool.query(
            "UPDATE replay SET preview = $2 WHERE id = $1", [.id(id), .text(try JSON.text(await found.preview))])
    }

    private actor Found {
        var preview = ReplayPreview()
        func set(_ preview: ReplayPreview) { self.preview = preview }
    }

    private func run(
        _ items: [(ReplayItem, [UInt8])], _ id: ID, _ transaction: EventTransaction, _ found: Found
    ) async throws {
        var preview = ReplayPreview()
        let end = ContinuousClock.now + .seconds(Self.previewSeconds)
        let first = try await Self.touched(transaction)
        var last = first
        var said = 0
        for (item, body) in items where ContinuousClock.now < end {
            try await transaction.query("SAVEPOINT one")
            preview.tried += 1
            do {
                try await watch.timed("preview of replay \(id), \(item.stream)#\(item.seq)") {
                    try await handle(item, body, id, transaction)
                }
                let now = try await Self.touched(transaction)
                let spoken = transaction.spokenTypes.values.reduce(0, +)
                preview.wouldSucceed += 1
                if now == last, spoken == said { preview.changeNothing += 1 }
                (last, said) = (now, spoken)
                try await transaction.query("RELEASE SAVEPOINT one")
            } catch {
                if (error as? PostgresError)?.isTransient == true { throw error }
                preview.wouldFail["\(error)", default: 0] += 1
                transaction.dropWrites()
                try await transaction.query("ROLLBACK TO SAVEPOINT one")
            }
        }
        preview.says = transaction.spokenTypes
        preview.changes = last.map { table, counts in
            let before = first[table] ?? [0, 0, 0]
            return .init(
                table: table, added: counts[0] - before[0], changed: counts[1] - before[1],
                removed: counts[2] - before[2])
        }
        .filter { $0.added + $0.changed + $0.removed > 0 }.sorted { $0.table < $1.table }
        await found.set(preview)
    }

    /// Rows added, changed and removed by this session so far, by table of the service's own; the bus's own tables do not count.
    private static func touched(_ transaction: EventTransaction) async throws -> [String: [Int]] {
        let rows = try await transaction.query(
            """
            SELECT relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_xact_user_tables
            WHERE schemaname = current_schema() AND n_tup_ins + n_tup_upd + n_tup_del > 0
                AND relname NOT IN ('parked', 'blocked_key', 'replay', 'replay_item', 'subscription_cursor', 'handling')
                AND relname !~ '^(event|event_run|inbox)_[0-9]+$'
            """)
        var counts: [String: [Int]] = [:]
        for row in rows {
            counts[try row.string("relname")] = [
                Int(try row.int("n_tup_ins")), Int(try row.int("n_tup_upd")), Int(try row.int("n_tup_del")),
            ]
        }
        return counts
    }

    private static let columns = """
        r.id, r.state, r.planned_at, r.planned_by, r.applied_by, r.applied_at, r.filter, r.preview,
        (SELECT string_agg(c.outcome || '=' || c.n, ',') FROM (SELECT outcome, count(*) AS n FROM replay_item
            WHERE replay_id = r.id GROUP BY outcome) AS c) AS counts
        """

    public func find(_ id: ID) async throws -> Replay? {
        try await pool.query("SELECT \(Self.columns) FROM replay AS r WHERE r.id = $1", [.id(id)]).first.map {
            try Self.read($0)
        }
    }

    /// Newest first.
    public func list(limit: Int) async throws -> [Replay] {
        try await pool.query(
            "SELECT \(Self.columns) FROM replay AS r ORDER BY r.planned_at DESC LIMIT $1", [.int(limit)]
        ).map { try Self.read($0) }
    }

    /// The frozen list, from a place on.
    public func items(_ id: ID, after: Int, limit: Int) async throws -> [ReplayItem] {
        try await pool.query(
            """
            SELECT \(ReplayItem.columns) FROM replay_item AS i WHERE i.replay_id = $1 AND i.place > $2
            ORDER BY i.place LIMIT $3
            """, [.id(id), .int(after), .int(limit)]
        ).map { try ReplayItem($0) }
    }

    private static func read(_ row: Row) throws -> Replay {
        var counts: [String: Int] = [:]
        for pair in try row.optionalString("counts")?.split(separator: ",") ?? [] {
            let parts = pair.split(separator: "=")
            counts[String(parts[0])] = Int(parts[1])
        }
        return Replay(
            id: try row.id("id"), state: try row.string("state"), plannedAt: try row.time("planned_at"),
            plannedBy: try row.string("planned_by"), appliedBy: try row.optionalString("applied_by"),
            appliedAt: try row.optionalTime("applied_at"), filter: try row.string("filter"), counts: counts,
            preview: try row.optionalString("preview").flatMap {
                try JSON.decode(ReplayPreview.self, from: Array($0.utf8))
            })
    }
}
