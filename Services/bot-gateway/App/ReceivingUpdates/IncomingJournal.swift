import Postgres
import Primitives

/// Makes everything that arrives durable before it is acknowledged. Requests that wait at the same time share one
/// transaction and one flush; the next batch starts when the last COMMIT has returned.
public actor IncomingJournal {
    public struct Entry: Sendable {
        let connection: String
        /// Nil: not understood; kept with its reason.
        let dedupeKey: String?
        let reason: String?
        let body: [UInt8]

        public init(connection: String, dedupeKey: String?, reason: String? = nil, body: [UInt8]) {
            self.connection = connection
            self.dedupeKey = dedupeKey
            self.reason = reason
            self.body = body
        }
    }

    private let pool: PostgresPool
    private let stored: @Sendable () -> Void
    private var waiting: [(Entry, CheckedContinuation<Bool, any Error>)] = []
    private var writing = 0
    /// Arrivals in the present window of time and in the one before.
    private var arrivals = (now: 0, before: 0, since: ContinuousClock.now)

    /// Arrivals within a window from which on they count as a flood: 500 a second.
    private static let flood = 50
    private static let window = Duration.milliseconds(100)

    /// Entries of one transaction, and entries waiting, at most.
    private static let batchLimit = 200
    private static let waitingLimit = 5000
    /// Batches under way at a time: one is being flushed while the next is being gathered.
    private static let writerLimit = 2

    public init(pool: PostgresPool, stored: @escaping @Sendable () -> Void) {
        self.pool = pool
        self.stored = stored
    }

    /// Returns when the entry is on disk: true when it is new, false when it had come before.
    public func store(_ entry: Entry) async throws -> Bool {
        guard waiting.count < Self.waitingLimit else {
            throw PostgresError.poolExhausted(waitedSeconds: 0)
        }
        return try await withCheckedThrowingContinuation { continuation in
            waiting.append((entry, continuation))
            if writing < Self.writerLimit { startWriter() }
        }
    }

    /// So much arrives that all the machine should do is to put it on disk.
    var isFlooded: Bool {
        turnWindow()
        return max(arrivals.now, arrivals.before) >= Self.flood
    }

    private func turnWindow() {
        let passed = ContinuousClock.now - arrivals.since
        guard passed >= Self.window else { return }
        arrivals = (0, passed >= Self.window * 2 ? 0 : arrivals.now, .now)
    }

    private func startWriter() {
        writing += 1
        Task {
            while let batch = self.takeBatch() { await self.write(batch) }
        }
    }

    private func takeBatch() -> [(Entry, CheckedContinuation<Bool, any Error>)]? {
        guard !waiting.isEmpty else {
            writing -= 1
            return nil
        }
        let batch = Array(waiting.prefix(Self.batchLimit))
        turnWindow()
        arrivals.now += batch.count
        waiting.removeFirst(batch.count)
        return batch
    }

    private func write(_ batch: [(Entry, CheckedContinuation<Bool, any Error>)]) async {
        do {
            let isNew = try await Self.insert(batch.map(\.0), pool)
            for (index, (_, continuation)) in batch.enumerated() {
                continuation.resume(returning: isNew.contains(index))
            }
            stored()
        } catch {
            for (_, continuation) in batch { continuation.resume(throwing: error) }
        }
    }

    /// The positions of the entries that were new.
    private static func insert(_ entries: [Entry], _ pool: PostgresPool) async throws -> Set<Int> {
        let rows = try await pool.query(
            """
            INSERT INTO incoming (connection, dedupe_key, state, reason, body)
            SELECT connection, key, CASE WHEN reason IS NULL THEN 'new' ELSE 'parked' END, reason, body
            FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[])
                WITH ORDINALITY AS e (connection, key, reason, body, place)
            ORDER BY place
            ON CONFLICT ON CONSTRAINT incoming_once DO NOTHING
            RETURNING connection, dedupe_key
            """,
            [
                .texts(entries.map(\.connection)), .texts(entries.map(\.dedupeKey)),
                .texts(entries.map(\.reason)), .byteArrays(entries.map(\.body)),
            ])
        var inserted = Set(
            try rows.map { "\(try $0.string("connection"))/\(try $0.optionalString("dedupe_key") ?? "")" })
        var isNew: Set<Int> = []
        for (index, entry) in entries.enumerated() {
            let key = "\(entry.connection)/\(entry.dedupeKey ?? "")"
            // The second of two equal ones in a batch is a duplicate too.
            if entry.dedupeKey == nil || inserted.remove(key) != nil { isNew.insert(index) }
        }
        return isNew
    }
}
