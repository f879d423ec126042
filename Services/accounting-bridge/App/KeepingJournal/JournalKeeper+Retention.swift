import Messaging
import Postgres
import Primitives

/// What is older than the policy goes: a month as a whole where all of it is, else day by day (JRN-08). What still waits for a person stays.
extension JournalKeeper {
    /// Drops months beyond the policy, unless something of theirs still waits for a person.
    func dropMonths() async throws {
        let rows = try await bus.pool.query(
            """
            SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = 'exchange'::regclass AND (c.relname = 'exchange_before' OR (c.relname ~ '^exchange_[0-9]{6}$'
                AND to_date(right(c.relname, 6), 'YYYYMM') + interval '1 month' <= (now() AT TIME ZONE 'UTC')::date - $1::int))
            ORDER BY c.relname
            """, [.int(days)])
        for row in rows {
            let name = try row.string("name")
            _ = try await bus.pool.transaction { [days] transaction in
                try await transaction.query("SET LOCAL lock_timeout = '300ms'")
                let last = try await transaction.query(
                    """
                    SELECT day_of(id)::text AS day FROM "\(name)"
                    WHERE (SELECT first_month FROM journal_parts) <= (now() AT TIME ZONE 'UTC')::date OR $1 <> 'exchange_before'
                    ORDER BY id DESC LIMIT 1
                    """, [.text(name)]
                ).first?.string("day")
                guard let last else {
                    // A month in which nothing was exchanged.
                    if name != "exchange_before" { try await transaction.query("DROP TABLE \"\(name)\"") }
                    return
                }
                let isWanted = try await transaction.query(
                    """
                    SELECT 1 AS one WHERE $1::date >= (now() AT TIME ZONE 'UTC')::date - $2::int OR EXISTS (
                        SELECT 1 FROM "\(name)" e JOIN parked_document p ON p.exchange_id = e.id AND p.settled_at IS NULL)
                        OR EXISTS (SELECT 1 FROM "\(name)" e JOIN onec_file f ON f.exchange_id = e.id AND f.state = 'queued')
                    """, [.text(last), .int(days)])
                guard isWanted.isEmpty else { return }
                try await transaction.query(
                    """
                    UPDATE journal_day SET dropped_at = now()
                    WHERE day IN (SELECT DISTINCT day_of(id) FROM "\(name)")
                    """)
                try await transaction.query("DROP TABLE \"\(name)\"")
            }
        }
    }

    /// Rows that are deleted at a time, and days of one round.
    private static let step = 2000
    private static let daysAtOnce = 31

    /// The days of a month that is still kept in part. A day counts as dropped before its rows go: a death in between is no hole in a chain.
    func dropDays() async throws {
        let rows = try await bus.pool.query(
            """
            SELECT day::text AS day FROM journal_day d WHERE day < (now() AT TIME ZONE 'UTC')::date - $1::int
                AND EXISTS (SELECT 1 FROM exchange e WHERE e.id >= first_id_of(d.day) AND e.id < first_id_of(d.day + 1))
                AND NOT EXISTS (SELECT 1 FROM exchange e JOIN parked_document p ON p.exchange_id = e.id AND p.settled_at IS NULL
                    WHERE e.id >= first_id_of(d.day) AND e.id < first_id_of(d.day + 1))
                AND NOT EXISTS (SELECT 1 FROM exchange e JOIN onec_file f ON f.exchange_id = e.id AND f.state = 'queued'
                    WHERE e.id >= first_id_of(d.day) AND e.id < first_id_of(d.day + 1))
            ORDER BY day LIMIT \(Self.daysAtOnce)
            """, [.int(days)])
        for row in rows {
            let day = try row.string("day")
            try await bus.pool.query(
                "UPDATE journal_day SET dropped_at = coalesce(dropped_at, now()) WHERE day = $1::date", [.text(day)])
            while try await bus.pool.query(
                """
                DELETE FROM exchange WHERE id IN (SELECT id FROM exchange
                    WHERE id >= first_id_of($1::date) AND id < first_id_of($1::date + 1) ORDER BY id LIMIT \(Self.step))
                """, [.text(day)]
            ).affected == Self.step {}
        }
    }

    /// What belongs to exchanges that are gone: sessions with their files, and what was set aside and is settled.
    func dropRest() async throws {
        let before = "now() - make_interval(days => $1::int)"
        // A document that waits for a person is read again out of its file.
        let overSessions = """
            SELECT s.id FROM onec_session s WHERE s.started_at < \(before)
                AND NOT EXISTS (SELECT 1 FROM parked_document p WHERE p.session = s.id AND p.settled_at IS NULL)
            """
        for statement in [
            "DELETE FROM file_piece WHERE session IN (\(overSessions) AND EXISTS (SELECT 1 FROM file_piece f WHERE f.session = s.id) LIMIT \(Self.step))",
            """
            DELETE FROM onec_file WHERE state IN ('done', 'parked') AND session IN (\(overSessions)
                AND EXISTS (SELECT 1 FROM onec_file f WHERE f.session = s.id AND f.state IN ('done', 'parked')) LIMIT \(Self.step))
            """,
            """
            DELETE FROM onec_session WHERE id IN (SELECT id FROM onec_session s WHERE started_at < \(before)
                AND NOT EXISTS (SELECT 1 FROM onec_file f WHERE f.session = s.id)
                AND NOT EXISTS (SELECT 1 FROM parked_document p WHERE p.session = s.id AND p.settled_at IS NULL) LIMIT \(Self.step))
            """,
            "DELETE FROM told_stranger WHERE ctid IN (SELECT ctid FROM told_stranger WHERE at < \(before) LIMIT \(Self.step))",
            // What was kept for an order that never came.
            """
            DELETE FROM told_object WHERE ctid IN (SELECT o.ctid FROM told_object o WHERE $1::int IS NOT NULL
                AND NOT EXISTS (SELECT 1 FROM told_link l WHERE l.base = o.base AND l.object_id = o.object_id)
                AND NOT EXISTS (SELECT 1 FROM told_stranger s WHERE s.base = o.base AND s.object_id = o.object_id) LIMIT \(Self.step))
            """,
            "DELETE FROM parked_document WHERE id IN (SELECT id FROM parked_document WHERE settled_at < \(before) LIMIT \(Self.step))",
        ] {
            try await bus.pool.query(statement, [.int(days)])
        }
    }
}
