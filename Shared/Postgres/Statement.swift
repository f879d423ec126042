/// One SQL statement with its parameters. The text is prepared once per connection.
public struct Statement: Sendable {
    public let sql: String
    public let parameters: [Parameter]
    /// Planned anew each time with the very values, where a general plan would be a bad one.
    public var isPlannedEachTime = false
    /// Answered in PostgreSQL's binary form: bodies cost half as much. Columns of integers, bytes, ids, booleans and texts only.
    public var isAnsweredInBinary = false

    /// Seconds that the server may take for this one without a word, where its time-out allows more than the session's own.
    public var patience: Double?

    public init(_ sql: String, _ parameters: [Parameter] = []) {
        self.sql = sql
        self.parameters = parameters
    }

    /// - Throws: refused, 22021, when a text holds U+0000, which PostgreSQL cannot.
    func checkTexts() throws {
        for parameter in parameters where !parameter.isBinary && parameter.bytes?.contains(0) == true {
            throw PostgresError.refused(
                sqlState: "22021", message: "a text holds a NUL character", constraint: nil)
        }
    }
}

/// Anything a statement can be run on: a connection, or an open transaction.
public protocol StatementRunner: Sendable {
    /// Runs the statements in one round trip (libpq pipeline mode) and answers in their order.
    /// The first refused one is thrown; those behind it were not run.
    @discardableResult
    func run(_ statements: [Statement]) async throws -> [Rows]
}

extension StatementRunner {
    @discardableResult
    public func query(_ sql: String, _ parameters: [Parameter] = []) async throws -> Rows {
        try await run([Statement(sql, parameters)])[0]
    }
}
