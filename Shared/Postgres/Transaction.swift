/// An open transaction on one connection. BEGIN travels with its first statement.
public final actor Transaction: StatementRunner {
    private let connection: PostgresConnection
    private var begun = false

    init(on connection: PostgresConnection) {
        self.connection = connection
    }

    @discardableResult
    public func run(_ statements: [Statement]) async throws -> [Rows] {
        if begun { return try await connection.run(statements) }
        begun = true
        return Array(try await connection.run([Statement("BEGIN")] + statements).dropFirst())
    }

    func commit() async throws {
        guard begun else { return }
        let tag: String
        do { tag = try await connection.query("COMMIT").commandTag } catch let error as PostgresError {
            if case .disconnected(let why) = error { throw PostgresError.commitOutcomeUnknown(why) }
            throw error
        } catch is CancellationError {
            // Cancelled before COMMIT was sent: nothing was changed, the caller rolls back.
            throw CancellationError()
        }
        // A COMMIT of a failed transaction "succeeds" as a ROLLBACK.
        guard tag == "COMMIT" else { throw PostgresError.commitRefused("the server answered \(tag)") }
    }

    func rollback() async {
        guard begun else { return }
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
        let transaction = Transaction(on: self)
        do {
            if durability == .relaxed {
                try await transaction.query("SET LOCAL synchronous_commit = off")
            }
            let value = try await body(transaction)
            try await transaction.commit()
            return value
        } catch {
            await transaction.rollback()
            throw error
        }
    }
}
