import Postgres

/// Which instance leads a schema: who holds its advisory lock. A session that has fallen silent is ended by the one who
/// stands by, so that a paused process cannot keep the lead; what it does when it wakes is fenced by the term.
struct Leadership: Sendable {
    let schema: String

    /// Seconds between a standby's attempts.
    static let pause = 0.5
    /// Seconds without a word of the leader, which asks at least every ``Stamper/pollPause``, until its session is ended.
    static let silenceLimit = 10.0

    /// Takes the lead for this session.
    ///
    /// - Parameter ghost: the server process of our own lost session, which the server may not have noticed yet.
    /// - Throws: ``LeaseHeldElsewhere``.
    func take(_ connection: PostgresConnection, ghost: Int32?) async throws {
        let rows = try await connection.query(
            "SELECT pg_try_advisory_lock(hashtextextended($1 || '/lease', 0)) AS mine", [.text(schema)])
        if try rows[0].bool("mine") { return }
        let holder = try await connection.query(
            """
            -- While the server works for it, and does not wait for it in the middle of a statement, it is not silent.
            SELECT a.pid, CASE WHEN a.state = 'active' AND a.wait_event_type IS DISTINCT FROM 'Client' THEN 0
                ELSE extract(epoch FROM clock_timestamp() - a.state_change) END AS silent
            FROM (SELECT hashtextextended($1 || '/lease', 0) AS key) AS k
            JOIN pg_locks AS l ON l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
                AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                AND l.classid::bigint = (k.key >> 32) & 4294967295 AND l.objid::bigint = k.key & 4294967295
            JOIN pg_stat_activity AS a ON a.pid = l.pid
            """, [.text(schema)])
        if let row = holder.first, let pid = try row.optionalInt("pid") {
            let isGhost = ghost.map(Int64.init) == pid
            let silent = try row.optionalDouble("silent") ?? 0
            if isGhost || silent > Self.silenceLimit {
                try await connection.query("SELECT pg_terminate_backend($1::int)", [.int(pid)])
            }
        }
        throw LeaseHeldElsewhere()
    }
}

struct Fenced: Error, CustomStringConvertible {
    let description = "another instance has taken over this schema's numbering"
}
struct LeaseHeldElsewhere: Error, CustomStringConvertible {
    let description = "another instance holds the lease; standing by"
}

/// This instance led and another one has led since: its doors are no longer anybody's. The process ends and stands by anew.
public struct Superseded: Error, CustomStringConvertible {
    public let description = "another instance has taken over; this one ends, to stand by anew"
}
