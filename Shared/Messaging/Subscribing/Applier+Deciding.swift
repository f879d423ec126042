import Postgres
import Primitives

/// What a person's decision about the stream reads and writes.
extension Applier {
    /// The link of our copy of `seq`; nil when we keep none.
    func copyLink(_ seq: Int64, _ pool: PostgresPool) async throws -> Link? {
        let rows = try await pool.query(
            "SELECT link FROM inbox_page($1, $2, $3, $4, 1) WHERE seq = $4", name + [.int(seq)])
        return try rows.first?.optionalBytes("link").flatMap { Link($0) }
    }

    /// Our copies from `seq` on, a page of them.
    func copies(from seq: Int64, upTo last: Int64, _ pool: PostgresPool) async throws -> [[UInt8]] {
        let rows = try await pool.query(
            "SELECT body FROM inbox_page($1, $2, $3, $4, \(EventBatch.pageCount)) WHERE seq <= $5",
            name + [.int(seq), .int(last)])
        var bytes = 0
        return try rows.map { try $0.bytes("body") }.prefix {
            bytes += $0.count
            return bytes <= EventBatch.pageBytes || bytes == $0.count
        }.map { $0 }
    }

    /// Moves the cursor by a person's word: copies beyond it are kept apart, and it is written down.
    func settle(
        _ settling: Subscriber.Settling, from: SubscriptionMachine.Cursor, to place: SubscriptionMachine.Cursor
    ) async throws {
        let outcome =
            place.seq <= from.seq
            ? "goes on from #\(place.seq); #\(place.seq + 1)–#\(from.seq) are kept as forked copies"
            : "goes on from #\(place.seq); #\(from.seq + 1)–#\(place.seq) were not taken"
        try await transaction(.flushed) { transaction in
            try expect(try await transaction.run([lockCursor])[0], from)
            try await transaction.run([
                Statement(
                    """
                    INSERT INTO forked_copy (publisher, stream, lane, seq, event_id, type, at, body, decision)
                    SELECT publisher, stream, lane, seq, event_id, type, at, body, $5 FROM inbox
                    WHERE publisher = $1 AND stream = $2 AND lane = $3 AND last > $4 AND seq > $4 ON CONFLICT DO NOTHING
                    """, name + [.int(place.seq), .id(settling.id)]),
                Statement(
                    "DELETE FROM inbox_run WHERE publisher = $1 AND stream = $2 AND lane = $3 AND first > $4",
                    name + [.int(place.seq)]),
                Statement(
                    """
                    UPDATE inbox_run SET last = $4, event_ids = event_ids[:$4 - first + 1], types = types[:$4 - first + 1],
                        ats = ats[:$4 - first + 1], links = links[:$4 - first + 1], bodies = bodies[:$4 - first + 1]
                    WHERE publisher = $1 AND stream = $2 AND lane = $3 AND first <= $4 AND last > $4
                    """, name + [.int(place.seq)]),
                Statement(
                    """
                    UPDATE subscription_cursor SET epoch = $4, seq = $5, link = $6, moved_at = now()
                    WHERE publisher = $1 AND stream = $2 AND lane = $3
                    """, name + [.int(place.epoch), .int(place.seq), .bytes(place.link.bytes)]),
                BusDecision.record(
                    id: settling.id, by: settling.by, settling.decision.rawValue, stream.description,
                    reason: settling.reason, outcome: outcome),
            ])
        }
    }

    func isRecorded(_ decision: ID, _ pool: PostgresPool) async throws -> Bool {
        try await !pool.query("SELECT 1 AS one FROM bus_decision WHERE id = $1", [.id(decision)]).isEmpty
    }

    /// Pausing outlives the process.
    func note(_ settling: Subscriber.Settling, pausedBy: String?) async throws {
        try await transaction(.flushed) { transaction in
            try await transaction.run([
                Statement(
                    "UPDATE subscription_cursor SET paused_by = $4 WHERE publisher = $1 AND stream = $2 AND lane = $3",
                    name + [.text(pausedBy)]),
                BusDecision.record(
                    id: settling.id, by: settling.by, settling.decision.rawValue, stream.description,
                    reason: settling.reason, outcome: "done"),
            ])
        }
    }

    func hasForkedCopies(_ pool: PostgresPool) async throws -> Bool {
        try await !pool.query(
            "SELECT 1 AS one FROM forked_copy WHERE publisher = $1 AND stream = $2 AND lane = $3 LIMIT 1", name
        ).isEmpty
    }
}
