import Postgres
import Primitives

/// Turns checked events into effects: one batch is one transaction with the cursor, the handlers' statements, the
/// inbox copies and, last, our own events.
struct Applier: Sendable {
    let stream: StreamName
    let handlers: EventHandlers
    let checkpoint: Checkpoint
    let transaction:
        @Sendable (
            Durability, @escaping @Sendable (EventTransaction) async throws -> Void
        ) async throws -> Void

    var name: [Parameter] {
        [.text(stream.publisher), .text(stream.stream), .text(stream.lane.rawValue)]
    }

    /// The durable cursor, made at its beginning when there is none.
    func cursor(_ pool: PostgresPool) async throws -> (place: SubscriptionMachine.Cursor, isPaused: Bool) {
        let rows = try await pool.query(
            """
            INSERT INTO subscription_cursor AS c (publisher, stream, lane) VALUES ($1, $2, $3)
            ON CONFLICT (publisher, stream, lane) DO UPDATE SET seq = c.seq
            RETURNING epoch, seq, link, paused_by
            """, name)
        return (try Self.read(rows[0]), try rows[0].optionalString("paused_by") != nil)
    }

    private static func read(_ row: Row) throws -> SubscriptionMachine.Cursor {
        .init(
            epoch: try row.int("epoch"), seq: try row.int("seq"),
            link: Link(try row.bytes("link")) ?? .zero)
    }

    /// - Parameter isAlone: one event, after the batch it came in had failed: whatever stands in its way must be known before it is
    ///   tried, for a handler may refuse it without asking the database.
    /// - Throws: ``CursorMoved``.
    func apply(
        _ events: [SubscriptionMachine.Event], from: SubscriptionMachine.Cursor, epoch: Int64,
        standing: EffectsStanding,
        isAlone: Bool = false
    ) async throws {
        let batch = Batch(
            events: events,
            arrived: try events.map {
                try ReceivedEvent($0.body, position: StreamPosition(stream: stream, seq: $0.seq))
            }, from: from, epoch: epoch)
        do {
            if !standing.isEmpty || isAlone {
                try await applyCarefully(batch, standing)
            } else {
                try await applyFreely(batch)
            }
        } catch let error as PostgresError where error.sqlState == Self.cursorMoved {
            throw CursorMoved()
        } catch let error as PostgresError where error.sqlState == Self.keyIsBlocked {
            try await applyCarefully(batch, EffectsStanding())
        }
        checkpoint(.applied)
    }

    private struct Batch: Sendable {
        let events: [SubscriptionMachine.Event]
        let arrived: [ReceivedEvent]
        let from: SubscriptionMachine.Cursor
        let epoch: Int64
    }

    /// What `begin_batch` refuses with.
    private static let cursorMoved = "TL001", keyIsBlocked = "TL002"

    /// Nothing is known to stand in the way: the server checks it in front of the first statement, and nobody waits for that.
    private func applyFreely(_ batch: Batch) async throws {
        try await transaction(.relaxed) { transaction in
            transaction.write(
                "SELECT begin_batch($1, $2, $3, $4, $5, $6)",
                name + [
                    .int(batch.from.seq), .bytes(batch.from.link.bytes), .texts(Array(Set(batch.arrived.map(\.key)))),
                ])
            for event in batch.arrived { try await handlers.handle(event, transaction) }
            finish(batch, transaction)
        }
    }

    /// Asks first which events must not be done now: those behind a parked one, and those whose effects stand.
    private func applyCarefully(_ batch: Batch, _ standing: EffectsStanding) async throws {
        let (arrived, events) = (batch.arrived, batch.events)
        try await transaction(.relaxed) { transaction in
            let answers = try await transaction.run(
                [lockCursor, blockedKeys(arrived)] + (standing.hasForkedCopies ? [appliedBefore(arrived)] : []))
            try expect(answers[0], batch.from)
            let blocked = Set(try answers[1].map { try $0.string("key") })
            let done = standing.hasForkedCopies ? Set(try answers[2].map { try $0.id("event_id") }) : []
            for (event, raw) in zip(arrived, events)
            where !done.contains(event.id) && standing.retaken?.isDone(event) != true {
                if standing.retaken?.isDoubtful(event) == true {
                    let park = parkStatement(raw, event, attempts: 0, behind: false, reason: Self.doubtful)
                    transaction.write(park.sql, park.parameters)
                } else if blocked.contains(event.key) {
                    let park = parkStatement(
                        raw, event, attempts: 0, behind: true,
                        reason: "waits behind an earlier parked event of the same key")
                    transaction.write(park.sql, park.parameters)
                } else {
                    try await handlers.handle(event, transaction)
                }
            }
            finish(batch, transaction)
        }
    }

    /// It holds up nothing: most of these were done.
    static let doubtful =
        "said before the oldest copy of a stream that was settled after a fork: nobody knows whether it was done"

    private func finish(_ batch: Batch, _ transaction: EventTransaction) {
        checkpoint(.handled)
        transaction.write(copies(batch.arrived, batch.events) + [moveCursor(batch.events, batch.epoch)])
    }

    private func blockedKeys(_ arrived: [ReceivedEvent]) -> Statement {
        Statement(
            """
            SELECT key FROM blocked_key
            WHERE publisher = $1 AND stream = $2 AND lane = $3 AND key = ANY($4::text[])
            """, name + [.texts(arrived.map(\.key))])
    }

    /// After a fork some events come again whose effects stand.
    private func appliedBefore(_ arrived: [ReceivedEvent]) -> Statement {
        Statement(
            """
            SELECT event_id FROM forked_copy
            WHERE publisher = $1 AND stream = $2 AND lane = $3 AND event_id = ANY($4::uuid[])
            """, name + [.ids(arrived.map(\.id))])
    }

    /// Sets one event aside with its reason, blocks its key, and moves on.
    func park(
        _ raw: SubscriptionMachine.Event, from: SubscriptionMachine.Cursor, epoch: Int64,
        attempts: Int, reason: String
    ) async throws {
        let event = try? ReceivedEvent(
            raw.body, position: StreamPosition(stream: stream, seq: raw.seq))
        try await transaction(.flushed) { transaction in
            try expect(try await transaction.run([lockCursor])[0], from)
            var statements = [
                parkStatement(raw, event, attempts: attempts, behind: false, reason: reason)
            ]
            if let event {
                statements += copies([event], [raw])
                statements.append(
                    Statement(
                        """
                        INSERT INTO blocked_key (publisher, stream, lane, key)
                        VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
                        """, name + [.text(event.key)]))
            }
            statements.append(moveCursor([raw], epoch))
            try await transaction.run(statements)
        }
    }

    var lockCursor: Statement {
        Statement(
            """
            SELECT epoch, seq, link FROM subscription_cursor
            WHERE publisher = $1 AND stream = $2 AND lane = $3 FOR UPDATE
            """, name)
    }

    func expect(_ rows: Rows, _ cursor: SubscriptionMachine.Cursor) throws {
        guard let row = rows.first, try Self.read(row).seq == cursor.seq,
            try Self.read(row).link == cursor.link
        else { throw CursorMoved() }
    }

    private func moveCursor(_ events: [SubscriptionMachine.Event], _ epoch: Int64) -> Statement {
        let last = events[events.count - 1]
        return Statement(
            """
            UPDATE subscription_cursor SET epoch = $4, seq = $5, link = $6, moved_at = now()
            WHERE publisher = $1 AND stream = $2 AND lane = $3
            """, name + [.int(epoch), .int(last.seq), .bytes(last.link.bytes)])
    }

    private func copies(_ arrived: [ReceivedEvent], _ events: [SubscriptionMachine.Event]) -> [Statement] {
        Self.runs(of: events.map(\.body.count)).map { run(arrived[$0], events[$0]) }
    }

    /// Which copies share a row: consecutive ones, until there are `runLimit` of them or about a page's bytes.
    static func runs(of sizes: [Int]) -> [Range<Int>] {
        var runs: [Range<Int>] = []
        var (start, bytes) = (0, 0)
        for (index, size) in sizes.enumerated() {
            bytes += size
            let isFull = index + 1 - start == runLimit || bytes >= EventBatch.pageBytes
            guard isFull || index == sizes.count - 1 else { continue }
            runs.append(start..<index + 1)
            (start, bytes) = (index + 1, 0)
        }
        return runs
    }

    /// Copies in one row at most, as the table demands.
    private static let runLimit = 500

    private func run(_ arrived: ArraySlice<ReceivedEvent>, _ events: ArraySlice<SubscriptionMachine.Event>) -> Statement
    {
        Statement(
            """
            INSERT INTO inbox_run (publisher, stream, lane, first, last, event_ids, types, ats, links, bodies)
            VALUES ($1, $2, $3, $4, $5, $6::uuid[], $7::text[], $8::timestamptz[], $9::bytea[], $10::bytea[])
            """,
            name + [
                .int(events[events.startIndex].seq), .int(events[events.endIndex - 1].seq), .ids(arrived.map(\.id)),
                .texts(arrived.map(\.type)), .times(arrived.map(\.at)), .byteArrays(events.map(\.link.bytes)),
                .byteArrays(events.map(\.body)),
            ])
    }

    private func parkStatement(
        _ raw: SubscriptionMachine.Event, _ event: ReceivedEvent?, attempts: Int, behind: Bool,
        reason: String
    ) -> Statement {
        Statement(
            """
            INSERT INTO parked (id, publisher, stream, lane, seq, type, key, correlation, reason,
                attempts, behind, body)
            -- An id that two events carry names the first; the second is set aside all the same.
            SELECT CASE WHEN EXISTS (SELECT 1 FROM parked WHERE id = $4) THEN gen_random_uuid() ELSE $4 END,
                $1, $2, $3, $5::bigint, $6, $7, $8::uuid, $9, $10::int, $11::boolean, $12::bytea
            ON CONFLICT ON CONSTRAINT parked_once DO NOTHING
            """,
            name + [
                .id(event?.id ?? .make()), .int(raw.seq), .text(event?.type ?? "unreadable"),
                .text(event?.key ?? ""), .id(event?.correlation), .text(reason.filter { $0 != "\0" }), .int(attempts),
                .bool(behind), .bytes(raw.body),
            ])
    }
}

/// The cursor in the database is not where this process believed: read it again.
struct CursorMoved: Error {}
