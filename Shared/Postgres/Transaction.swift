/// An open transaction on one connection. BEGIN travels with its first statement.
public final actor Transaction: StatementRunner {
    private let connection: PostgresConnection
    private let durability: Durability
    private var begun = false
    private var ended = false

    init(on connection: PostgresConnection, _ durability: Durability) {
        self.connection = connection
        self.durability = durability
    }

    /// What travels in front of the first statements.
    private var opening: [Statement] {
        if begun { return [] }
        begun = true
        let relaxed = durability == .relaxed ? [Statement("SET LOCAL synchronous_commit = off")] : []
        return [Statement("BEGIN")] + relaxed
    }

    @discardableResult
    public func run(_ statements: [Statement]) async throws -> [Rows] {
        let opening = self.opening
        return Array(try await connection.run(opening + statements).dropFirst(opening.count))
    }

    /// Runs `statements` and COMMIT in one round trip. Nothing may follow in this transaction.
    ///
    /// - Throws: ``PostgresError/commitOutcomeUnknown(_:)`` when the connection broke after COMMIT was sent.
    @discardableResult
    public func commit(after statements: [Statement] = []) async throws -> [Rows] {
        guard !ended, begun || !statements.isEmpty else { return [] }
        let opening = self.opening
        var answers: [Rows]
        do { answers = try await connection.run(opening + statements + [Statement("COMMIT")]) } catch let error
            as PostgresError
        {
            if case .disconnected(let why) = error { throw PostgresError.commitOutcomeUnknown(why) }
            throw error
        }
        ended = true
        // A COMMIT of a failed transaction "succeeds" as a ROLLBACK.
        let tag = answers.removeLast().commandTag
        guard tag == "COMMIT" else { throw PostgresError.commitRefused("the server answered \(tag)") }
        return Array(answers.dropFirst(opening.count))
    }

    func rollback() async {
        guard begun, !ended else { return }
        let connection = self.connection
        // In a task of its own: a cancelled caller must still end its transaction.
        await Task { _ = try? await connection.query("ROLLBACK") }.value
    }
}

/// How durable a COMMIT must be when it returns.
public enum Durability: Sendable {
    /// On disk: what a person, a bot or 1C has been told "done" about.
    case flushed
    /// May fall back together with its cursor after a crash: internal consumers.
    case relaxed
}

extension PostgresConnection {
    /// Runs `body` in a transaction. COMMIT is checked; any error rolls back.
    ///
    /// - Throws: ``PostgresError/commitOutcomeUnknown(_:)`` when the connection broke in COMMIT.
    public nonisolated func transaction<Value: Sendable>(
        _ durability: Durability = .flushed,
        _ body: @Sendable (Transaction) async throws -> Value
    ) async throws -> Value {
        try await onItsThread { try await run(body, durability) }
    }

    private nonisolated func run<Value: Sendable>(
        _ body: @Sendable (Transaction) async throws -> Value, _ durability: Durability
    ) async throws -> Value {
        let transaction = Transaction(on: self, durability)
        do {
            let value = try await body(transaction)
            try await transaction.commit()
            return value
        } catch {
            await transaction.rollback()
            throw error
        }
    }
}
