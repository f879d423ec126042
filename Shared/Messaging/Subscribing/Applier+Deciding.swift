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
        try await transaction(.flushed) { transaction in
            let answers = try await transaction.run([lockCursor, noteRetaken(from: from.seq, after: place.seq)])
            try expect(answers[0], from)
            let outcome =
                if place.seq > from.seq {
                    "goes on from #\(place.seq); #\(from.seq + 1)–#\(place.seq) were not taken"
                } else if let row = answers[1].first {
                    "goes on from #\(place.seq); no copies are left up to #\(try row.int("retaken_to")): what was said there until "
                        + "\(try row.time("retaken_before")) is not done again; copies after it are kept as forked ones"
                } else {
                    "goes on from #\(place.seq); #\(place.seq + 1)–#\(from.seq) are kept as forked copies"
                }
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

    /// Notes up to where no copies tell which events were done, when we go back behind the oldest copy. A publisher that has lost its
    /// tail says new events after all that we have heard of it; so the time of the oldest copies parts them from the old ones. The latest
    /// of a page of them: an event is timed before it is numbered, and a longer transaction's comes later than its time says. Never later than when the last one was taken: a clock may
    /// have been ahead.
    private func noteRetaken(from seq: Int64, after place: Int64) -> Statement {
        Statement(
            """
            UPDATE subscription_cursor AS c
            SET retaken_to = coalesce(kept.seq, $4::bigint + 1) - 1, retaken_before = least(kept.at, c.moved_at)
            FROM (SELECT min(seq) AS seq, max(at) AS at
                FROM inbox_page($1, $2, $3, $5::bigint + 1, \(EventBatch.pageCount))) AS kept
            WHERE c.publisher = $1 AND c.stream = $2 AND c.lane = $3 AND $5::bigint < $4::bigint
                AND coalesce(kept.seq, $4::bigint + 1) > $5::bigint + 1
            RETURNING c.retaken_to, c.retaken_before
            """, name + [.int(seq), .int(place)])
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

    /// What of this stream comes again although it was done.
    func effectsStanding(_ pool: PostgresPool) async throws -> EffectsStanding {
        let row = try await pool.query(
            """
            SELECT EXISTS (SELECT 1 FROM forked_copy AS f
                WHERE (f.publisher, f.stream, f.lane) = (c.publisher, c.stream, c.lane)) AS forked,
                c.retaken_to, c.retaken_before
            FROM subscription_cursor AS c WHERE publisher = $1 AND stream = $2 AND lane = $3
            """, name
        ).first
        guard let row else { return EffectsStanding() }
        var standing = EffectsStanding(hasForkedCopies: try row.bool("forked"))
        if let to = try row.optionalInt("retaken_to"), let before = try row.optionalTime("retaken_before") {
            standing.retaken = .init(to: to, before: before)
        }
        return standing
    }
}
