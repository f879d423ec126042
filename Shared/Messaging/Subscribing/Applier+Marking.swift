import Postgres
import Primitives

/// The marks by which the next process knows that this one died, and of which event.
extension Applier {
    /// Writes down that `worker` works on this stream; whether another one did that never came to its end.
    func begin(_ worker: ID, _ pool: PostgresPool) async throws -> Bool {
        try await pool.query(
            """
            UPDATE subscription_cursor AS c SET worker = $4
            FROM (SELECT * FROM subscription_cursor WHERE publisher = $1 AND stream = $2 AND lane = $3 FOR UPDATE) AS before
            WHERE c.publisher = before.publisher AND c.stream = before.stream AND c.lane = before.lane
            RETURNING coalesce(before.worker <> $4, false) AS died
            """, name + [.id(worker)])[0].bool("died")
    }

    /// Writes down that `worker` came to its end in order; not when another one has taken over meanwhile.
    func rest(_ worker: ID, _ pool: PostgresPool) async throws {
        try await pool.query(
            """
            UPDATE subscription_cursor SET worker = NULL
            WHERE publisher = $1 AND stream = $2 AND lane = $3 AND worker = $4
            """, name + [.id(worker)])
    }

    /// Marks that `seq` is about to be handled alone; how often that was begun.
    func mark(_ seq: Int64, _ pool: PostgresPool) async throws -> Int {
        try await pool.transaction(.relaxed) { transaction in
            let rows = try await transaction.query(
                """
                INSERT INTO handling AS h (publisher, stream, lane, seq, attempts) VALUES ($1, $2, $3, $4, 1)
                ON CONFLICT (publisher, stream, lane) DO UPDATE
                    SET seq = $4, attempts = CASE WHEN h.seq = $4 THEN h.attempts + 1 ELSE 1 END
                RETURNING attempts
                """, name + [.int(seq)])
            return Int(try rows[0].int("attempts"))
        }
    }

    /// It did not end this process.
    func unmark(_ seq: Int64, _ pool: PostgresPool) async throws {
        try await pool.query(
            "DELETE FROM handling WHERE publisher = $1 AND stream = $2 AND lane = $3 AND seq = $4", name + [.int(seq)])
    }
}
