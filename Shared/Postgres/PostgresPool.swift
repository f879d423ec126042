import Synchronization

/// Connections shared by the tasks of one service: at most `connectionLimit`, opened when needed; who
/// waits longer than `waitLimit` gets an error. Broken ones are thrown away; after a failed attempt to
/// connect the next waits with a growing pause.
public actor PostgresPool {
    public nonisolated let configuration: PostgresConfiguration
    private var idle: [PostgresConnection] = []
    private var open = 0
    private var closed = false
    private var waiting: [(key: Int, continuation: CheckedContinuation<Void, any Error>)] = []
    private var nextKey = 0

    public init(_ configuration: PostgresConfiguration) { self.configuration = configuration }

    /// Lends a connection to `body`.
    public nonisolated func withConnection<Value: Sendable>(
        _ body: @Sendable (PostgresConnection) async throws -> Value
    ) async throws -> Value {
        let connection = try await lend()
        do {
            let value = try await body(connection)
            await giveBack(connection)
            return value
        } catch {
            await giveBack(connection)
            throw error
        }
    }

    /// Runs `body` in a transaction on a lent connection.
    public nonisolated func transaction<Value: Sendable>(
        _ durability: Durability = .flushed,
        _ body: @Sendable (Transaction) async throws -> Value
    ) async throws -> Value {
        try await withConnection { try await $0.transaction(durability, body) }
    }

    /// Whether the server answers now.
    public nonisolated func isReachable() async -> Bool {
        (try? await withConnection { try await $0.query("SELECT 1 AS one") }) != nil
    }

    public func close() async {
        closed = true
        for waiter in waiting { waiter.continuation.resume(throwing: PostgresError.disconnected("closing")) }
        waiting = []
        let connections = idle
        idle = []
        for connection in connections { await connection.close() }
    }

    private func lend() async throws -> PostgresConnection {
        while true {
            guard !closed else { throw PostgresError.disconnected("the pool is closed") }
            while let connection = idle.popLast() {
                if await connection.isBroken { open -= 1 } else { return connection }
            }
            if open < configuration.connectionLimit {
                open += 1
                do { return try await PostgresConnection(configuration) } catch {
                    open -= 1
                    wakeOne()
                    throw error
                }
            }
            try await waitForFree()
        }
    }

    private func giveBack(_ connection: PostgresConnection) async {
        let isUnfit = await connection.isUnfit
        if closed || isUnfit {
            open -= 1
            await connection.close()
        } else {
            idle.append(connection)
        }
        wakeOne()
    }

    private func wakeOne() {
        if !waiting.isEmpty { waiting.removeFirst().continuation.resume() }
    }

    private func waitForFree() async throws {
        let key = nextKey
        nextKey += 1
        let limit = configuration.waitLimit
        let timer = Task {
            try await Task.sleep(for: .seconds(limit))
            self.giveUp(key, PostgresError.poolExhausted(waitedSeconds: limit))
        }
        defer { timer.cancel() }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { waiting.append((key, $0)) }
        } onCancel: {
            Task { await self.giveUp(key, CancellationError()) }
        }
    }

    private func giveUp(_ key: Int, _ error: any Error) {
        guard let index = waiting.firstIndex(where: { $0.key == key }) else { return }
        waiting.remove(at: index).continuation.resume(throwing: error)
    }
}

extension PostgresPool: StatementRunner {
    @discardableResult
    public nonisolated func run(_ statements: [Statement]) async throws -> [Rows] {
        try await withConnection { try await $0.run(statements) }
    }
}
