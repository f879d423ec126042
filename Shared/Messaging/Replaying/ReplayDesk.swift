import Contracts
import Logging
import Postgres
import Primitives
import Synchronization

/// Does messages again: those that a filter chose are frozen as a list, looked at in a transaction that is rolled back, and then
/// done, exactly those, one transaction each. Every replay is its own record.
public struct ReplayDesk: Sendable {
    /// Messages of one replay at most: what is more must be narrowed.
    public static let itemLimit = 10_000
    /// Messages that a preview runs at most, and seconds that it may take: it holds locks while it looks.
    public static let previewCount = 500
    public static let previewSeconds = 5.0

    let name: String
    let pool: PostgresPool
    let handlers: [StreamName: EventHandlers]
    let transaction: EventBus.Speaking
    /// Seconds in which the messages of a replay are found: copies are looked through one by one.
    private static let choosingLimit = 60
    private let signal = Signal()
    private let begun = Begun()
    let watch: HandlingWatch

    /// Messages of replays under way that this process has begun, so that each counts once for it.
    private final class Begun: Sendable {
        private let places = Mutex<[ID: Set<Int>]>([:])
        func isNew(_ place: Int, of replay: ID) -> Bool {
            places.withLock { $0[replay, default: []].insert(place).inserted }
        }
        func forget(_ replay: ID) { _ = places.withLock { $0.removeValue(forKey: replay) } }
    }

    init(
        name: String, pool: PostgresPool, handlers: [StreamName: EventHandlers], watch: HandlingWatch,
        transaction: @escaping EventBus.Speaking
    ) {
        self.name = name
        self.pool = pool
        self.handlers = handlers
        self.watch = watch
        self.transaction = transaction
    }

    /// Freezes what the filter chooses now, and previews it.
    ///
    /// - Parameter changes: new data for some of them, by event id: each becomes a new message that supersedes the old.
    /// - Throws: ``ReplayRefused``.
    public func plan(_ filter: ReplayFilter, changes: [ID: RawJSON], by: String) async throws -> Replay {
        guard !filter.isEmpty else { throw ReplayRefused("a filter must choose something: it is empty") }
        let id = ID.make()
        let choose = try filter.chosen()
        let words = try JSON.text(filter)
        let count = try await pool.transaction { transaction in
            try await transaction.query("SET LOCAL statement_timeout = '\(Self.choosingLimit)s'")
            try await transaction.query(
                "INSERT INTO replay (id, planned_by, filter, state) VALUES ($1, $2, $3, 'planned')",
                [.id(id), .text(by), .text(words)])
            var freeze = Statement(
                """
                INSERT INTO replay_item (replay_id, place, source, publisher, stream, lane, seq, event_id, type, key,
                    correlation, at, body)
                SELECT '\(id)'::uuid, row_number() OVER (ORDER BY publisher, stream, lane, seq), c.* FROM (
                    \(choose.sql)
                    LIMIT \(Self.itemLimit + 1)) AS c
                """, choose.parameters)
            freeze.patience = Double(Self.choosingLimit) + 5
            let frozen = try await transaction.run([freeze])[0]
            guard frozen.affected <= Self.itemLimit else {
                throw ReplayRefused("more than \(Self.itemLimit) messages are chosen: narrow the filter")
            }
            try await change(changes, in: id, transaction)
            return frozen.affected
        }
        if count > 0 { try await preview(id) }
        return try await find(id) ?? { throw ReplayRefused("the replay is gone") }()
    }

    private func change(_ changes: [ID: RawJSON], in replay: ID, _ transaction: Transaction) async throws {
        for (old, data) in changes {
            let rows = try await transaction.query(
                "SELECT place, body FROM replay_item WHERE replay_id = $1 AND event_id = $2", [.id(replay), .id(old)])
            guard let row = rows.first else { throw ReplayRefused("message \(old) is changed but not chosen") }
            let fresh = ID.make()
            let body = try Superseding.body(of: try row.bytes("body"), old: old, new: fresh, data: data)
            try await transaction.query(
                """
                UPDATE replay_item SET event_id = $3, body = $4, supersedes = $5 WHERE replay_id = $1 AND place = $2
                """, [.id(replay), .int(try row.int("place")), .id(fresh), .bytes(body), .id(old)])
        }
    }

    /// Begins to do the list; it goes on in the leading instance, also after a crash.
    ///
    /// - Throws: ``ReplayRefused`` when it was applied or cancelled before.
    public func apply(_ id: ID, by: String) async throws {
        try await move(
            id, from: ["planned"], to: "applying", by: by, "applied_by = $4, applied_at = now()", "cannot be applied")
        signal.poke()
    }

    /// Whatever is not done yet stays undone.
    public func cancel(_ id: ID, by: String) async throws {
        try await move(
            id, from: ["planned", "applying"], to: "cancelled", by: by, "applied_by = $4", "cannot be cancelled")
        signal.poke()
    }

    private func move(
        _ id: ID, from: [String], to: String, by: String, _ more: String, _ words: String
    ) async throws {
        try await pool.transaction { transaction in
            let rows = try await transaction.query(
                "UPDATE replay SET state = $2, \(more) WHERE id = $1 AND state = ANY($3::text[]) RETURNING filter",
                [.id(id), .text(to), .texts(from), .text(by)])
            guard let row = rows.first else {
                let state = try await transaction.query("SELECT state FROM replay WHERE id = $1", [.id(id)])
                guard let state = try state.first?.string("state") else { throw ReplayRefused("no such replay") }
                throw ReplayRefused("the replay is \(state): it \(words)")
            }
            if to == "cancelled" {
                try await transaction.query(
                    "UPDATE replay_item SET outcome = 'cancelled' WHERE replay_id = $1 AND outcome = 'waiting'",
                    [.id(id)])
            }
            try await transaction.run([
                BusDecision.record(
                    by: by, to == "applying" ? "apply-replay" : "cancel-replay", id.description,
                    reason: try row.string("filter"), outcome: "begun")
            ])
        }
    }

    // MARK: doing it

    /// Does what was applied, list by list, until cancelled. Only the leading instance runs this.
    func run(_ log: Logger) async {
        while !Task.isCancelled {
            do { while let id = try await nextReplay() { try await work(id) } } catch {
                log.warning("a replay waits", metadata: ["reason": "\(error)"])
            }
            await signal.wait(seconds: 1)
        }
    }

    private func nextReplay() async throws -> ID? {
        try await pool.query("SELECT id FROM replay WHERE state = 'applying' ORDER BY applied_at LIMIT 1").first?.id(
            "id")
    }

    private func work(_ id: ID) async throws {
        while !Task.isCancelled {
            let rows = try await pool.query(
                """
                SELECT \(ReplayItem.columns), i.body FROM replay_item AS i JOIN replay AS r ON r.id = i.replay_id
                WHERE i.replay_id = $1 AND i.outcome = 'waiting' AND r.state = 'applying' ORDER BY i.place LIMIT 1
                """, [.id(id)])
            guard let row = rows.first else { break }
            try await doAgain(try ReplayItem(row), try row.bytes("body"), id)
        }
        try await pool.query("UPDATE replay SET state = 'applied' WHERE id = $1 AND state = 'applying'", [.id(id)])
        begun.forget(id)
    }

    private func doAgain(_ item: ReplayItem, _ body: [UInt8], _ replay: ID) async throws {
        guard try await begin(item, replay) else { return }
        do {
            try await transaction(.flushed) { transaction in
                // Locked, so that a cancellation either comes before it or waits for it.
                let state = try await transaction.query(
                    "SELECT state FROM replay WHERE id = $1 FOR UPDATE", [.id(replay)])
                guard try state.first?.string("state") == "applying" else { throw Cancelled() }
                let mine = try await transaction.query(
                    "SELECT 1 AS one FROM replay_item WHERE replay_id = $1 AND place = $2 AND outcome = 'waiting'",
                    [.id(replay), .int(item.place)])
                guard !mine.isEmpty else { throw Cancelled() }
                try await watch.timed("replay \(replay), \(item.stream)#\(item.seq)") {
                    try await handle(item, body, replay, transaction)
                }
                transaction.write(
                    "UPDATE replay_item SET outcome = 'done', done_at = now() WHERE replay_id = $1 AND place = $2",
                    [.id(replay), .int(item.place)])
            }
        } catch is Cancelled {
            return
        } catch {
            if (error as? PostgresError)?.isTransient == true || error is CancellationError { throw error }
            try await pool.query(
                """
                UPDATE replay_item SET outcome = 'failed', reason = $3, done_at = now()
                WHERE replay_id = $1 AND place = $2 AND outcome = 'waiting'
                """, [.id(replay), .int(item.place), .text("\(error)")])
        }
    }

    /// Marks that this process begins the message. One that ended the process each time it was begun is not begun again, or it would end
    /// every instance for ever: it fails, and the list goes on.
    private func begin(_ item: ReplayItem, _ replay: ID) async throws -> Bool {
        guard begun.isNew(item.place, of: replay) else { return true }
        let row = try await pool.query(
            """
            UPDATE replay_item SET attempts = attempts + 1, outcome = CASE WHEN attempts < $3 THEN outcome ELSE 'failed' END,
                reason = CASE WHEN attempts < $3 THEN reason ELSE $4 END, done_at = CASE WHEN attempts < $3 THEN done_at ELSE now() END
            WHERE replay_id = $1 AND place = $2 AND outcome = 'waiting' RETURNING outcome
            """,
            [
                .id(replay), .int(item.place), .int(Subscriber.deathLimit),
                .text("the process ended \(Subscriber.deathLimit) times while this message was being done"),
            ]
        ).first
        return try row?.string("outcome") == "waiting"
    }

    private struct Cancelled: Error {}

    /// The real handlers, and for what was parked its release: a key flows again when nothing of it waits any more.
    func handle(_ item: ReplayItem, _ body: [UInt8], _ replay: ID, _ transaction: EventTransaction) async throws {
        guard let handlers = handlers[item.stream] else {
            throw ReplayRefused("\(item.stream) is not taken here any more")
        }
        let event = try ReceivedEvent(body, position: StreamPosition(stream: item.stream, seq: item.seq))
        guard item.source == .parked else { return try await handlers.handle(event, transaction) }
        let place: [Parameter] = [
            .text(item.stream.publisher), .text(item.stream.stream), .text(item.stream.lane.rawValue),
        ]
        // The cursor's lock: a live event of this key is either parked behind before, or comes after the key flows again.
        try await transaction.run([
            Statement(
                """
                SELECT 1 AS one FROM subscription_cursor WHERE publisher = $1 AND stream = $2 AND lane = $3 FOR UPDATE
                """, place)
        ])
        let earlier = try await transaction.query(
            """
            SELECT min(seq) AS seq FROM parked WHERE publisher = $1 AND stream = $2 AND lane = $3 AND key = $4 AND seq < $5
                AND settled_at IS NULL AND reason <> $6
            """, place + [.text(event.key), .int(item.seq), .text(Applier.doubtful)])
        if let seq = try earlier.first?.optionalInt("seq") {
            throw ReplayRefused("an earlier message of the same key, #\(seq), is still set aside")
        }
        let settled = try await transaction.query(
            """
            UPDATE parked SET settled_at = now(), settled_by = $5
            WHERE publisher = $1 AND stream = $2 AND lane = $3 AND seq = $4 AND id = $6 AND settled_at IS NULL
            RETURNING 1 AS one
            """, place + [.int(item.seq), .id(replay), .id(item.supersedes ?? item.eventId)])
        guard !settled.isEmpty else { throw ReplayRefused("it was settled meanwhile") }
        try await handlers.handle(event, transaction)
        transaction.write(
            """
            DELETE FROM blocked_key AS b WHERE b.publisher = $1 AND b.stream = $2 AND b.lane = $3 AND b.key = $4
                AND NOT EXISTS (SELECT 1 FROM parked AS p WHERE p.publisher = $1 AND p.stream = $2 AND p.lane = $3
                    AND p.key = $4 AND p.settled_at IS NULL AND p.reason <> $5)
            """, place + [.text(event.key), .text(Applier.doubtful)])
    }
}

/// A replay that is not done, with the reason in plain words.
public struct ReplayRefused: Error, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}
