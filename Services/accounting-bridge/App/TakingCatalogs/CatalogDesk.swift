import Contracts
import Glibc
import Logging
import Messaging
import Postgres
import Primitives
import XMLStream

/// Reads catalogs that 1C has sent, one file after another and beside everything else: `import` queues a file and asks how far it is. What
/// is queued is durable: after a crash it is read anew, which changes nothing twice.
actor CatalogDesk {
    private let bus: EventBus
    private let files: ReceivedFiles
    private let log: Logger
    private var progress: [ReceivedFiles.Place: Int] = [:]
    private var waiting: [ReceivedFiles.Place: [CheckedContinuation<Void, Never>]] = [:]
    private let queued = Signal()

    /// Seconds between looks when nobody pokes: another instance may have queued something.
    private static let pause = 5.0

    /// Times that reading a file may be cut off by a death before it is set aside.
    private static let attempts: Int64 = 3

    init(bus: EventBus, log: Logger) {
        (self.bus, self.log) = (bus, log)
        files = ReceivedFiles(pool: bus.pool)
    }

    struct State: Sendable {
        let state: String
        let reason: String?
        let understood: [String]
        /// Records read so far.
        var read = 0
        var isOver: Bool { state == "done" || state == "parked" }
    }

    /// Queues a file, once, and waits for it a little: УТ asks again at once, without a pause (reference 22).
    func importing(_ place: ReceivedFiles.Place, exchange: ID, seconds: Double) async throws -> State {
        try await bus.pool.query(
            """
            INSERT INTO onec_file (session, filename, archive, state, exchange_id, queued_at)
            VALUES ($1, $2, $3, 'queued', $4, clock_timestamp())
            ON CONFLICT (session, filename) DO UPDATE SET state = 'queued', archive = excluded.archive,
                exchange_id = excluded.exchange_id, queued_at = clock_timestamp()
            WHERE onec_file.state IN ('growing', 'unread')
            """, [.id(place.session), .text(place.filename), .text(place.archive), .id(exchange)])
        queued.poke()
        let now = try await state(place)
        if now.isOver { return now }
        await wait(place, seconds)
        return try await state(place)
    }

    private func state(_ place: ReceivedFiles.Place) async throws -> State {
        let row = try await bus.pool.query(
            "SELECT state, reason, understood::text AS understood FROM onec_file WHERE session = $1 AND filename = $2",
            [.id(place.session), .text(place.filename)]
        ).first
        guard let row else { return State(state: "queued", reason: nil, understood: []) }
        return State(
            state: try row.string("state"), reason: try row.optionalString("reason"),
            understood: try JSON.decode([String].self, from: try row.string("understood").utf8),
            read: progress[place] ?? 0)
    }

    private func wait(_ place: ReceivedFiles.Place, _ seconds: Double) async {
        await withCheckedContinuation { continuation in
            waiting[place, default: []].append(continuation)
            Task {
                try? await Task.sleep(for: .seconds(seconds))
                self.tell(place)
            }
        }
    }

    /// Something was queued by another way.
    nonisolated func wake() { queued.poke() }

    private func tell(_ place: ReceivedFiles.Place) {
        for continuation in waiting.removeValue(forKey: place) ?? [] { continuation.resume() }
    }

    // MARK: reading

    func run() async throws {
        while !Task.isCancelled {
            if bus.missing == nil {
                while let place = try await next() { try await read(place) }
            }
            await queued.wait(seconds: Self.pause)
        }
    }

    private func next() async throws -> ReceivedFiles.Place? {
        let row = try await bus.pool.query(
            """
            UPDATE onec_file SET begun = begun + 1 WHERE (session, filename) IN (
                SELECT session, filename FROM onec_file WHERE state = 'queued' ORDER BY queued_at LIMIT 1)
            RETURNING session, filename, archive, begun
            """
        ).first
        guard let row else { return nil }
        let place = ReceivedFiles.Place(
            session: try row.id("session"), filename: try row.string("filename"),
            archive: try row.optionalString("archive"))
        guard try row.int("begun") > Self.attempts else { return place }
        let session = try await bus.pool.query("SELECT base FROM onec_session WHERE id = $1", [.id(place.session)])
        try await park(
            place, "чтение файла обрывалось \(Self.attempts) раза подряд", try session.first?.string("base"))
        return try await next()
    }

    private func read(_ place: ReceivedFiles.Place) async throws {
        defer {
            progress[place] = nil
            tell(place)
        }
        let session = try await bus.pool.query("SELECT base FROM onec_session WHERE id = $1", [.id(place.session)])
        guard let base = try session.first?.string("base") else { return try await park(place, "сеанс неизвестен") }
        do {
            let understood = try await CatalogFile(files: files, store: CatalogStore(pool: bus.pool, base: base)).apply(
                place
            ) { await self.note(place, $0) }
            try await files.note(place, "done", understood: understood)
            try await bus.transaction { try await BaseHealth.works(base, [.goods], in: $0) }
        } catch let error where (error as? PostgresError)?.isTransient == true || error is CancellationError {
            // Not the file's fault: this beginning does not count; but of a statement that takes too long it may be.
            if (error as? PostgresError)?.sqlState != "57014" {
                _ = try? await bus.pool.query(
                    "UPDATE onec_file SET begun = greatest(0, begun - 1) WHERE session = $1 AND filename = $2",
                    [.id(place.session), .text(place.filename)])
            }
            throw error
        } catch let refusal as XMLRefusal {
            try await park(place, refusal.isIncomplete ? "файл обрывается: \(refusal.reason)" : refusal.reason, base)
        } catch let error as PostgresError where !error.isTransient {
            log.error("a catalog cannot be kept", metadata: ["file": "\(place.filename)", "reason": "\(error)"])
            try await park(place, "ошибка на нашей стороне: \(error)", base)
        }
    }

    private func note(_ place: ReceivedFiles.Place, _ count: Int) { progress[place] = count }

    /// Set aside, with its bytes in the journal; 1C is not told `failure`, for УНФ might drop its changes (reference 24).
    private func park(_ place: ReceivedFiles.Place, _ reason: String, _ base: String? = nil) async throws {
        try await files.note(place, "parked", reason)
        guard let base else { return }
        try await bus.transaction { transaction in
            try await transaction.query(
                """
                INSERT INTO parked_document (id, base, exchange_id, reason, kind, session, filename)
                SELECT $1, $2, exchange_id, $3, 'catalog', session, filename FROM onec_file
                WHERE session = $4 AND filename = $5 AND exchange_id IS NOT NULL
                """,
                [
                    .id(.make()), .text(base), .text("файл «\(place.filename)»: \(reason)"), .id(place.session),
                    .text(place.filename),
                ])
            try await BaseHealth.failing(base, .goods, "файл товаров от 1С не читается", in: transaction)
        }
    }
}

/// The records of a catalog's file, none of them kept: for measurements of reading alone.
package func countCatalogRecords(file: String) throws -> Int {
    guard let input = fopen(file, "r") else { throw XMLRefusal(reason: "файл не открывается", isIncomplete: false) }
    defer { fclose(input) }
    let reader = CatalogReader()
    let xml = XMLReader(reader)
    var count = 0
    while true {
        let bytes = [UInt8](unsafeUninitializedCapacity: ReceivedFiles.step) { buffer, size in
            size = fread(buffer.baseAddress, 1, ReceivedFiles.step, input)
        }
        if bytes.isEmpty { break }
        try xml.feed(bytes)
        count += reader.takeRecords().count
    }
    try xml.finish()
    return count + reader.takeRecords().count
}

/// One file of a catalog, read and kept as it streams by.
struct CatalogFile: Sendable {
    let files: ReceivedFiles
    let store: CatalogStore

    /// Records of one transaction.
    private static let batch = 500
    private static let batchBytes = 2 * 1024 * 1024

    /// What was understood, in words.
    func apply(
        _ place: ReceivedFiles.Place, _ progress: @Sendable (Int) async -> Void
    ) async throws -> [String] {
        let reader = CatalogReader()
        let xml = XMLReader(reader)
        // Of the time that 1C sent it: read again later, it is older news than what came since.
        let at = try await files.sentAt(place)
        var counts = CatalogStore.Counts()
        func keep() async throws {
            let records = reader.takeRecords()
            for record in records { counts.add(record) }
            try await store.write(records, replacesAll: !reader.isChangesOnly, at: at)
            await progress(counts.total)
        }
        try await files.read(place) { bytes in
            try xml.feed(bytes)
            if reader.records.count >= Self.batch || reader.heldBytes >= Self.batchBytes { try await keep() }
        }
        try xml.finish()
        try await keep()
        let refused = reader.refused.map { "не понято: \($0)" }
        let more = reader.refusedCount - reader.refused.count
        return (counts.words.isEmpty ? ["в файле нет товаров и предложений"] : counts.words) + refused
            + (more > 0 ? ["и ещё не понято записей: \(more)"] : [])
    }
}
