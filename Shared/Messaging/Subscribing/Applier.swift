import Postgres
import Primitives

/// Turns checked events into effects: one batch is one transaction with the cursor, the handlers' statements, the
/// inbox copies and, last, our own events.
struct Applier: Sendable {
    let stream: StreamName
    let handlers: EventHandlers
    let transaction:
        @Sendable (
            Durability, @escaping @Sendable (EventTransaction) async throws -> Void
        ) async throws -> Void

    private var name: [Parameter] {
        [.text(stream.publisher), .text(stream.stream), .text(stream.lane.rawValue)]
    }

    /// The durable cursor, made at its beginning when there is none.
    func cursor(_ pool: PostgresPool) async throws -> SubscriptionMachine.Cursor {
        let rows = try await pool.query(
            """
            INSERT INTO subscription_cursor AS c (publisher, stream, lane) VALUES ($1, $2, $3)
            ON CONFLICT (publisher, stream, lane) DO UPDATE SET seq = c.seq
            RETURNING epoch, seq, link
            """, name)
        return try Self.read(rows[0])
    }

    private static func read(_ row: Row) throws -> SubscriptionMachine.Cursor {
        .init(
            epoch: try row.int("epoch"), seq: try row.int("seq"),
            link: Link(try row.bytes("link")) ?? .zero)
    }

    func apply(
        _ events: [SubscriptionMachine.Event], from: SubscriptionMachine.Cursor, epoch: Int64
    ) async throws {
        let arrived = try events.map {
            try ReceivedEvent($0.body, position: StreamPosition(stream: stream, seq: $0.seq))
        }
        try await transaction(.relaxed) { transaction in
            let keys = Parameter.texts(arrived.map(\.key))
            let answers = try await transaction.run([
                lockCursor,
                Statement(
                    """
                    SELECT key FROM blocked_key
                    WHERE publisher = $1 AND stream = $2 AND lane = $3 AND key = ANY($4::text[])
                    """, name + [keys]),
            ])
            try expect(answers[0], from)
            let blocked = Set(try answers[1].map { try $0.string("key") })
            for (event, raw) in zip(arrived, events) {
                if blocked.contains(event.key) {
                    try await transaction.run([
                        parkStatement(
                            raw, event, attempts: 0, behind: true,
                            reason: "waits behind an earlier parked event of the same key")
                    ])
                } else {
                    try await handlers.handle(event, transaction)
                }
            }
            try await transaction.run([copies(arrived, events), moveCursor(events, epoch)])
        }
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
                statements.append(copies([event], [raw]))
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

    private var lockCursor: Statement {
        Statement(
            """
            SELECT epoch, seq, link FROM subscription_cursor
            WHERE publisher = $1 AND stream = $2 AND lane = $3 FOR UPDATE
            """, name)
    }

    private func expect(_ rows: Rows, _ cursor: SubscriptionMachine.Cursor) throws {
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

    private func copies(_ arrived: [ReceivedEvent], _ events: [SubscriptionMachine.Event]) -> Statement {
        Statement(
            """
            INSERT INTO inbox (publisher, stream, lane, seq, event_id, type, at, body)
            SELECT $1, $2, $3, * FROM unnest($4::bigint[], $5::text[]::uuid[], $6::text[],
                $7::text[]::timestamptz[], $8::bytea[])
            """,
            name + [
                .ints(events.map(\.seq)), .ids(arrived.map(\.id)), .texts(arrived.map(\.type)),
                .times(arrived.map(\.at)), .byteArrays(events.map(\.body)),
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
            VALUES ($4, $1, $2, $3, $5, $6, $7, $8, $9, $10, $11, $12)
            ON CONFLICT ON CONSTRAINT parked_once DO NOTHING
            """,
            name + [
                .id(event?.id ?? .make()), .int(raw.seq), .text(event?.type ?? "unreadable"),
                .text(event?.key ?? ""), .id(event?.correlation), .text(reason), .int(attempts),
                .bool(behind), .bytes(raw.body),
            ])
    }
}

/// The cursor in the database is not where this process believed: read it again.
struct CursorMoved: Error {}
