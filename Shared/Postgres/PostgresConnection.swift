internal import CLibPQ
import Glibc
import Synchronization

/// One server session. An actor on its own serial executor: libpq calls block its thread alone.
public actor PostgresConnection: StatementRunner {
    nonisolated let executor: SerialQueueExecutor
    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    private var owned: Handle?
    private var handle: OpaquePointer? { owned?.pointer }

    /// Ends libpq's connection with the one who holds it. An isolated `deinit` of the actor would do the same, but of it the optimizer of Swift 6.3
    /// asks in a circle when another module lets go of a connection (`error: circular reference`, release builds only).
    private final class Handle {
        let pointer: OpaquePointer
        init(_ pointer: OpaquePointer) { self.pointer = pointer }
        deinit { PQfinish(pointer) }
    }
    private let canceller = Canceller()
    private var prepared = PreparedNames()
    private(set) public var isBroken = false
    /// Seconds without a byte from the server after which it counts as gone: its own statement time-out must
    /// have spoken by then.
    private let silenceLimit: Double

    /// The same for the statements that are under way.
    private var patience = 0.0

    /// Seconds that a cancelled statement may stay without an answer.
    private static let cancelPatience = 3.0

    /// Statements prepared in one session; beyond it a new session begins with none.
    private static let preparedLimit = 500

    public init(_ configuration: PostgresConfiguration) async throws {
        executor = SerialQueueExecutor(label: "postgres.\(configuration.applicationName)")
        silenceLimit = Double(configuration.statementTimeout) + 5
        try open(configuration)
    }

    private func open(_ configuration: PostgresConfiguration) throws {
        let pairs = configuration.keywords
        let keys = pairs.map { strdup($0.0) }
        let values = pairs.map { strdup($0.1) }
        defer { for text in keys + values { free(text) } }
        let keyList = keys.map { UnsafePointer<CChar>($0) } + [nil]
        let valueList = values.map { UnsafePointer<CChar>($0) } + [nil]
        guard let opened = PQconnectdbParams(keyList, valueList, 1) else {
            throw PostgresError.disconnected("out of memory")
        }
        guard PQstatus(opened) == CONNECTION_OK else {
            let why = Self.words(PQerrorMessage(opened))
            PQfinish(opened)
            throw PostgresError.disconnected(why)
        }
        guard PQsetnonblocking(opened, 1) == 0, PQenterPipelineMode(opened) == 1 else {
            PQfinish(opened)
            throw PostgresError.disconnected("pipeline mode is not available")
        }
        owned = Handle(opened)
        canceller.set(UInt(bitPattern: PQgetCancel(opened)))
    }

    /// Broken, or left in a transaction: nobody else may be lent this session.
    var isUnfit: Bool {
        guard let handle, !isBroken else { return true }
        let status = PQtransactionStatus(handle)
        return status == PQTRANS_INTRANS || status == PQTRANS_INERROR
    }

    public func close() {
        canceller.set(0)
        owned = nil
        isBroken = true
    }

    /// Runs `body` on this connection's own thread, where its statements wait: nothing is handed from thread to thread.
    public nonisolated func onItsThread<Value: Sendable>(
        _ body: @Sendable () async throws -> Value
    ) async rethrows -> Value {
        try await withTaskExecutorPreference(executor, operation: body)
    }

    /// The server's process id of this session; for tests that kill it.
    public var backendPID: Int32 { handle.map { PQbackendPID($0) } ?? 0 }

    @discardableResult
    public func run(_ statements: [Statement]) async throws -> [Rows] {
        try await withTaskCancellationHandler {
            try runPipeline(statements)
        } onCancel: { [canceller] in
            canceller.cancel()
        }
    }

    /// Runs SQL text of several statements without parameters (migrations).
    public func runScript(_ sql: String) throws {
        guard let handle, !isBroken else { throw PostgresError.disconnected("connection closed") }
        guard PQexitPipelineMode(handle) == 1 else { throw broken() }
        defer { _ = PQenterPipelineMode(handle) }
        guard let result = PQexec(handle, sql) else { throw broken() }
        defer { PQclear(result) }
        let status = PQresultStatus(result)
        guard status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY
        else { throw PQstatus(handle) == CONNECTION_OK ? Self.refusal(result) : broken() }
    }

    private func runPipeline(_ statements: [Statement]) throws -> [Rows] {
        guard let handle, !isBroken else { throw PostgresError.disconnected("connection closed") }
        if Task.isCancelled { throw CancellationError() }
        if prepared.given > Self.preparedLimit { throw broken("too many different statements") }
        patience = statements.reduce(silenceLimit) { max($0, $1.patience ?? 0) }
        // Before anything is sent: half a pipeline would give its answers to whoever comes next.
        for statement in statements { try statement.checkTexts() }
        var expected: [Bool] = []
        var fresh: [String] = []
        for statement in statements {
            let name: String
            if statement.isPlannedEachTime {
                try send(handle, nil, statement)
                expected.append(true)
                continue
            }
            if let known = prepared.known[statement.sql] {
                name = known
            } else {
                name = prepared.add(statement.sql)
                guard PQsendPrepare(handle, name, statement.sql, 0, nil) == 1 else { throw broken() }
                fresh.append(statement.sql)
                expected.append(false)
            }
            try send(handle, name, statement)
            expected.append(true)
        }
        guard PQpipelineSync(handle) == 1 else { throw broken() }
        do { return try collect(handle, expected) } catch {
            for sql in fresh { prepared.known[sql] = nil }
            throw error
        }
    }

    /// - Parameter name: of the prepared statement; nil: the text itself is sent.
    private func send(_ handle: OpaquePointer, _ name: String?, _ statement: Statement) throws {
        let parameters = statement.parameters
        let count = parameters.count
        var lengths = [Int32](repeating: 0, count: count)
        var formats = [Int32](repeating: 0, count: count)
        // One buffer holds all values, each with a closing NUL for the text form.
        var buffer: [UInt8] = []
        var offsets = [Int](repeating: -1, count: count)
        for (index, parameter) in parameters.enumerated() {
            guard let bytes = parameter.bytes else { continue }
            offsets[index] = buffer.count
            buffer += bytes
            buffer.append(0)
            lengths[index] = Int32(bytes.count)
            formats[index] = parameter.isBinary ? 1 : 0
        }
        let answer: Int32 = statement.isAnsweredInBinary ? 1 : 0
        let sent = buffer.withUnsafeBufferPointer { memory -> Int32 in
            let values = offsets.map { offset -> UnsafePointer<CChar>? in
                guard offset >= 0, let base = memory.baseAddress else { return nil }
                return UnsafeRawPointer(base + offset).assumingMemoryBound(to: CChar.self)
            }
            guard let name else {
                return PQsendQueryParams(
                    handle, statement.sql, Int32(count), nil, values, lengths, formats, answer)
            }
            return PQsendQueryPrepared(handle, name, Int32(count), values, lengths, formats, answer)
        }
        guard sent == 1 else { throw broken() }
    }

    /// Reads results until the synchronisation point, writing and reading by turns: with one side
    /// only, a long pipeline would wait for ever (reference messaging 63).
    private func collect(_ handle: OpaquePointer, _ expected: [Bool]) throws -> [Rows] {
        var answers: [Rows] = []
        var failure: PostgresError?
        var position = 0
        while true {
            guard let result = try nextResult(handle) else {
                position += 1
                continue
            }
            defer { PQclear(result) }
            switch PQresultStatus(result) {
            case PGRES_PIPELINE_SYNC:
                if let failure { throw failure }
                return answers
            case PGRES_COMMAND_OK, PGRES_TUPLES_OK:
                if position < expected.count, expected[position] {
                    answers.append(Self.rows(result))
                }
            case PGRES_PIPELINE_ABORTED: break
            default:
                guard PQstatus(handle) == CONNECTION_OK else { throw broken() }
                if failure == nil { failure = Self.refusal(result) }
            }
        }
    }

    private func nextResult(_ handle: OpaquePointer) throws -> OpaquePointer? {
        var heard = ContinuousClock.now
        while true {
            let pending = PQflush(handle)
            guard pending >= 0 else { throw broken() }
            if pending == 0, PQisBusy(handle) == 0 { return PQgetResult(handle) }
            var descriptor = pollfd(
                fd: PQsocket(handle), events: Int16(POLLIN | (pending == 1 ? POLLOUT : 0)), revents: 0)
            guard poll(&descriptor, 1, 500) >= 0 || errno == EINTR else { throw broken() }
            if descriptor.revents != 0 {
                heard = .now
            } else if ContinuousClock.now - heard > .seconds(Task.isCancelled ? Self.cancelPatience : patience) {
                throw broken("the server has not answered in time")
            } else if Task.isCancelled {
                // A cancellation that reached the server before the statement did was of no use.
                canceller.cancel()
            }
            if descriptor.revents & Int16(POLLIN | POLLERR | POLLHUP) != 0 {
                guard PQconsumeInput(handle) == 1 else { throw broken() }
            }
        }
    }

    private func broken(_ why: String? = nil) -> PostgresError {
        let text = why ?? handle.map { Self.words(PQerrorMessage($0)) } ?? "connection closed"
        close()
        return .disconnected(text)
    }
}

extension PostgresConnection {
    private static func words(_ message: UnsafePointer<CChar>?) -> String {
        guard let message else { return "unknown reason" }
        return String(cString: message).split(separator: "\n").joined(separator: "; ")
    }

    private static func field(_ result: OpaquePointer, _ code: Int32) -> String? {
        PQresultErrorField(result, code).map { String(cString: $0) }
    }

    private static func refusal(_ result: OpaquePointer) -> PostgresError {
        .refused(
            sqlState: field(result, THROUGHLINE_PG_DIAG_SQLSTATE) ?? "XX000",
            message: field(result, THROUGHLINE_PG_DIAG_MESSAGE_PRIMARY) ?? "no message",
            constraint: field(result, THROUGHLINE_PG_DIAG_CONSTRAINT_NAME))
    }

    private static func rows(_ result: OpaquePointer) -> Rows {
        let (count, width) = (Int(PQntuples(result)), Int(PQnfields(result)))
        var columns: [String: Int] = [:]
        for index in 0..<width { columns[String(cString: PQfname(result, Int32(index)))] = index }
        var cells: [[UInt8]?] = []
        cells.reserveCapacity(count * width)
        for row in 0..<Int32(count) {
            for column in 0..<Int32(width) {
                guard PQgetisnull(result, row, column) == 0,
                    let value = PQgetvalue(result, row, column)
                else {
                    cells.append(nil)
                    continue
                }
                let length = Int(PQgetlength(result, row, column))
                cells.append(Array(UnsafeRawBufferPointer(start: value, count: length)))
            }
        }
        precondition(columns.count == width, "two columns of one query carry the same name")
        return Rows(
            columns: columns, cells: cells, isBinary: width > 0 && PQfformat(result, 0) == 1, count: count,
            affected: Int(String(cString: PQcmdTuples(result))) ?? 0,
            commandTag: String(cString: PQcmdStatus(result)))
    }
}

/// Holds libpq's cancel handle, which alone may be used from another thread. Kept as an address: the mutex
/// is what guards it.
private final class Canceller: Sendable {
    private let address = Mutex<UInt>(0)

    func set(_ fresh: UInt) {
        address.withLock { address in
            if let old = OpaquePointer(bitPattern: address) { PQfreeCancel(old) }
            address = fresh
        }
    }

    /// Asks the server to stop what this session does. A short blocking call to the server.
    func cancel() {
        address.withLock { address in
            guard let pointer = OpaquePointer(bitPattern: address) else { return }
            var reason = [CChar](repeating: 0, count: 256)
            _ = PQcancel(pointer, &reason, 256)
        }
    }

    deinit { set(0) }
}

/// Names of the statements that a session has prepared, by their text. None is given twice: after a failure nobody knows
/// which of a pipeline's new ones the server has made.
private struct PreparedNames {
    var known: [String: String] = [:]
    private(set) var given = 0

    mutating func add(_ sql: String) -> String {
        let name = "s\(given)"
        given += 1
        known[sql] = name
        return name
    }
}
