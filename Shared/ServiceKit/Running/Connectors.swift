import Contracts
import Postgres
import Primitives
import Synchronization

/// How one way between the suite and an outside system does (JRN-12).
public struct ConnectorState: AnswerShape {
    /// `telegram`, `messages`, `shop`, `mail`, `bank`, or how a base is talked to: `commerceml`, `odata`, `enterprisedata`, `folder`.
    public let kind, name: String
    /// `in`, `out`, or `both`.
    public let direction: String
    public let lastSuccess: Timestamp?
    public let waiting: Int
    /// Seconds that the oldest waits; null when nothing does.
    public let lagSeconds: Double?
    /// Tries of the last 24 hours, and those that came to nothing.
    public let attempts, troubles: Int
    /// Why it does not work now; null when it does.
    public let trouble: String?
    public let troubleSince: Timestamp?

    public init(
        kind: String, name: String, direction: String, lastSuccess: Timestamp? = nil, waiting: Int = 0,
        lagSeconds: Double? = nil, attempts: Int = 0, troubles: Int = 0, trouble: String? = nil,
        troubleSince: Timestamp? = nil
    ) {
        self.kind = kind
        self.name = name
        self.direction = direction
        self.lastSuccess = lastSuccess
        self.waiting = waiting
        self.lagSeconds = lagSeconds
        self.attempts = attempts
        self.troubles = troubles
        self.trouble = trouble
        self.troubleSince = troubleSince
    }
}

/// Counts what passes between a service and outside systems. Counted in memory and written every few seconds: what a death takes with it is a few
/// seconds of a statistic, and no message waits for a row that all share.
public final class ConnectorLedger: Sendable {
    /// One way to one system.
    public struct Way: Hashable, Sendable {
        public let kind, name, direction: String
        public init(_ kind: String, _ name: String, _ direction: String) {
            (self.kind, self.name, self.direction) = (kind, name, direction)
        }
    }

    private struct Count: Sendable {
        var attempts = 0
        var troubles = 0
        var succeeded: Timestamp?
        var trouble: String?
        var troubleSince: Timestamp?

        func followed(by later: Count?) -> Count {
            guard var later else { return self }
            later.attempts += attempts
            later.troubles += troubles
            // What is in trouble since, if nothing has passed since.
            if later.succeeded == nil { later.troubleSince = troubleSince ?? later.troubleSince }
            later.succeeded = later.succeeded ?? succeeded
            return later
        }
    }

    private let pool: PostgresPool
    private let pending = Mutex<[Way: Count]>([:])

    private static let pause = 10.0
    /// Days for which hours are kept.
    private static let days = 8
    /// Ways that are told apart; names that strangers choose must not fill the memory.
    private static let wayLimit = 1000
    private static let troubleLimit = 500

    public init(pool: PostgresPool) { self.pool = pool }

    /// The tables, under the number that they have among a service's own.
    public static func migration(_ number: Int) -> Migration {
        Migration(number, "connectors.sql", PackageResources.connectors_sql)
    }

    /// - Parameter trouble: why it came to nothing; nil when it did not.
    public func note(_ way: Way, trouble: String? = nil) {
        pending.withLock { pending in
            guard pending[way] != nil || pending.count < Self.wayLimit else { return }
            var count = pending[way] ?? Count()
            count.attempts += 1
            if let trouble {
                count.troubles += 1
                count.trouble = String(trouble.withoutNUL.prefix(Self.troubleLimit))
                count.troubleSince = count.troubleSince ?? .now()
            } else {
                (count.succeeded, count.trouble, count.troubleSince) = (.now(), nil, nil)
            }
            pending[way] = count
        }
    }

    /// Writes what was counted now and then, until it is cancelled.
    public func run() async throws {
        while !Task.isCancelled {
            try await Task.sleep(for: .seconds(Self.pause))
            try await flush()
        }
    }

    private struct Line: Encodable {
        let kind, name, direction: String
        let attempts, troubles: Int
        let succeeded: Timestamp?
        let trouble: String?
        let since: Timestamp?
    }

    private func flush() async throws {
        let counts = pending.withLock { pending in
            defer { pending = [:] }
            return pending
        }
        guard !counts.isEmpty else { return }
        let lines = counts.map { way, count in
            Line(
                kind: way.kind, name: way.name, direction: way.direction, attempts: count.attempts,
                troubles: count.troubles, succeeded: count.succeeded, trouble: count.trouble,
                since: count.troubleSince)
        }
        do { try await write(lines) } catch {
            // Counted again with what comes next.
            pending.withLock { pending in
                for (way, count) in counts { pending[way] = count.followed(by: pending[way]) }
            }
            throw error
        }
    }

    private func write(_ lines: [Line]) async throws {
        let told = """
            jsonb_to_recordset($1::jsonb) AS r (kind text, name text, direction text, attempts bigint, troubles bigint,
                succeeded timestamptz, trouble text, since timestamptz)
            """
        let json = Parameter.text(try JSON.text(lines))
        try await pool.run([
            Statement(
                """
                INSERT INTO connector AS c (kind, name, direction, tried_at, succeeded_at, trouble, trouble_since)
                SELECT kind, name, direction, now(), succeeded, trouble, since FROM \(told)
                ON CONFLICT (kind, name, direction) DO UPDATE SET tried_at = now(),
                    succeeded_at = coalesce(excluded.succeeded_at, c.succeeded_at), trouble = excluded.trouble,
                    -- A success in between has ended what stood before.
                    trouble_since = CASE WHEN excluded.trouble IS NULL THEN NULL WHEN excluded.succeeded_at IS NULL
                        THEN coalesce(c.trouble_since, excluded.trouble_since) ELSE excluded.trouble_since END
                """, [json]),
            Statement(
                """
                INSERT INTO connector_hour AS h (kind, name, direction, hour, attempts, troubles)
                SELECT kind, name, direction, date_trunc('hour', now()), attempts, troubles FROM \(told)
                ON CONFLICT (kind, name, direction, hour) DO UPDATE SET attempts = h.attempts + excluded.attempts,
                    troubles = h.troubles + excluded.troubles
                """, [json]),
            Statement("DELETE FROM connector_hour WHERE hour < now() - interval '\(Self.days) days'"),
            // Callers may choose the names of their channels.
            Statement(
                "DELETE FROM connector WHERE kind = 'messages' AND tried_at < now() - interval '\(Self.days) days'"),
        ])
    }

    /// How each way does: those that are set up, and whatever else has been used.
    ///
    /// - Parameters:
    ///   - expected: ways that are shown also when nothing has passed yet.
    ///   - queue: what waits for a way, among the service's queues.
    public func states(
        expected: [Way], queues: [WorkQueue], queue: (Way) -> String?
    ) async throws -> [ConnectorState] {
        try await flush()
        let rows = try await pool.query(
            """
            SELECT c.kind, c.name, c.direction, c.succeeded_at, c.trouble, c.trouble_since,
                coalesce(sum(h.attempts), 0)::bigint AS attempts, coalesce(sum(h.troubles), 0)::bigint AS troubles
            FROM connector c LEFT JOIN connector_hour h ON (h.kind, h.name, h.direction) = (c.kind, c.name, c.direction)
                AND h.hour > now() - interval '24 hours'
            GROUP BY c.kind, c.name, c.direction ORDER BY (c.kind = 'messages'), c.kind, c.name, c.direction LIMIT \(Self.wayLimit)
            """)
        let known = try rows.reduce(into: [Way: Row]()) {
            $0[Way(try $1.string("kind"), try $1.string("name"), try $1.string("direction"))] = $1
        }
        let waits = Dictionary(queues.map { ($0.name, $0) }) { first, _ in first }
        let others = known.keys.filter { !expected.contains($0) }.sorted { ($0.kind, $0.name) < ($1.kind, $1.name) }
        return try (expected + others).map { way in
            let row = known[way]
            let work = queue(way).flatMap { waits[$0] }
            return ConnectorState(
                kind: way.kind, name: way.name, direction: way.direction,
                lastSuccess: try row?.optionalTime("succeeded_at"), waiting: work?.waiting ?? 0,
                lagSeconds: work?.oldestSeconds, attempts: Int(try row?.int("attempts") ?? 0),
                troubles: Int(try row?.int("troubles") ?? 0), trouble: try row?.optionalString("trouble"),
                troubleSince: try row?.optionalTime("trouble_since"))
        }
    }
}
