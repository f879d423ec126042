import Postgres
import Primitives
import Synchronization

/// Takes back events that this service's log lost, from a subscriber that kept them: only while a person has allowed it.
final class CopyDesk: Sendable {
    private let name: String
    private let pool: PostgresPool
    private let spoke: @Sendable (Set<String>) -> Void
    private let allowed = Mutex<[String: ContinuousClock.Instant]>([:])
    private let indexed = Mutex<Set<String>>([])

    /// Seconds in which a day's table gets its index.
    private static let indexLimit = 300.0

    /// Seconds that a permission lasts.
    static let permission = 600.0

    init(name: String, pool: PostgresPool, spoke: @escaping @Sendable (Set<String>) -> Void) {
        self.name = name
        self.pool = pool
        self.spoke = spoke
    }

    /// A person's word that `subscriber` may refill this log now.
    func allow(_ subscriber: String, by: String, reason: String) async throws {
        try await pool.run([
            BusDecision.record(
                by: by, "take-copies", subscriber, reason: reason,
                outcome: "its copies are taken for \(Int(Self.permission)) s")
        ])
        allowed.withLock { $0[subscriber] = .now + .seconds(Self.permission) }
    }

    /// Makes events findable by their ids from a day on: nothing else ever looks for them so, and an index for all days would
    /// cost each event. Once a day's table; writers wait for it some seconds.
    private func index(from first: Timestamp) async throws {
        let tables = try await pool.query(
            """
            SELECT c.relname AS name FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
            WHERE i.inhparent = 'event'::regclass AND to_date(right(c.relname, 8), 'YYYYMMDD')
                >= ($1::timestamptz AT TIME ZONE 'UTC')::date
            """, [.time(first)]
        ).map { try $0.string("name") }
        for table in tables where !indexed.withLock({ $0.contains(table) }) {
            try await pool.transaction { transaction in
                try await transaction.query("SET LOCAL statement_timeout = '\(Int(Self.indexLimit))s'")
                var make = Statement("CREATE INDEX IF NOT EXISTS \"\(table)_by_event\" ON \"\(table)\" (event_id)")
                make.patience = Self.indexLimit + 5
                try await transaction.run([make])
            }
            _ = indexed.withLock { $0.insert(table) }
        }
    }

    /// Writes those that are not in the log as new events, in their old order. Answers once they are durable.
    func take(_ control: Control, _ bodies: [[UInt8]], from peer: String) async throws -> Control? {
        func answer(_ what: Control.What, _ reason: String? = nil) -> Control {
            Control(
                from: name, stream: control.stream, lane: control.lane, what: what,
                seq: control.seq + Int64(bodies.count) - 1, reason: reason)
        }
        guard let until = allowed.withLock({ $0[peer] }), until > .now else {
            return answer(.refused, "nobody has allowed \(name) to take copies from \(peer)")
        }
        let stream = StreamName(publisher: name, stream: control.stream, lane: control.lane)
        var drafts: [EventDraft] = []
        for (offset, body) in bodies.enumerated() {
            let event = try ReceivedEvent(body, position: .init(stream: stream, seq: control.seq + Int64(offset)))
            guard event.source == name else { return answer(.refused, "event \(event.id) is not of \(name)") }
            drafts.append(EventDraft(copy: event, stream: control.stream, lane: control.lane))
        }
        let offered = drafts
        // An event is written on the day that it tells of, give or take a clock, or later: as a copy, too.
        guard let first = offered.map(\.at).min()?.adding(seconds: -86_400) else { return answer(.copied) }
        try await index(from: first)
        let missing = try await pool.transaction { transaction in
            let known = try await transaction.query(
                """
                SELECT event_id FROM event WHERE event_id = ANY($1::uuid[])
                    AND day >= ($2::timestamptz AT TIME ZONE 'UTC')::date
                """, [.ids(offered.map(\.id)), .time(first)])
            let ids = Set(try known.map { try $0.id("event_id") })
            let missing = offered.filter { !ids.contains($0.id) }
            try await transaction.run(
                [
                    BusDecision.record(
                        by: peer, "copies", "\(control.stream)/\(control.lane.rawValue)",
                        reason: "offered from its #\(control.seq) on",
                        outcome: "\(missing.count) of \(offered.count) were missing and are in the log again")
                ] + (missing.isEmpty ? [] : [EventLog.append(missing)]))
            return missing.count
        }
        if missing > 0 { spoke(Set(offered.map(\.sequence))) }
        return answer(.copied)
    }
}
