/// What went wrong between us and PostgreSQL, by consequence.
public enum PostgresError: Error, Sendable {
    /// The server refused a statement: SQLSTATE, its words, and the violated constraint if any.
    case refused(sqlState: String, message: String, constraint: String?)
    /// There is no connection, or it broke before COMMIT was sent: nothing was changed.
    case disconnected(String)
    /// COMMIT was answered, but with a rollback: nothing was changed.
    case commitRefused(String)
    /// The connection broke after COMMIT was sent: whether it happened must be looked up.
    case commitOutcomeUnknown(String)
    /// No connection of the pool became free in time.
    case poolExhausted(waitedSeconds: Double)
    /// A column is missing or does not hold what was asked for.
    case decoding(column: String, wanted: String)
    /// A migration that was applied has since been edited, or is missing.
    case migration(String)

    /// Whether doing the same later may succeed: serialization failures (40), lost connections (08),
    /// resources (53), operator intervention and shutdown (57), lock time-outs (55P03).
    public var isTransient: Bool {
        switch self {
        case .refused(let state, _, _):
            ["40", "08", "53", "57", "58"].contains { state.hasPrefix($0) } || state == "55P03"
                || state == "25006" || state == "25P03"
        case .disconnected, .poolExhausted, .commitOutcomeUnknown: true
        case .commitRefused, .decoding, .migration: false
        }
    }

    public var constraint: String? {
        if case .refused(_, _, let constraint) = self { constraint } else { nil }
    }

    public var sqlState: String? {
        if case .refused(let state, _, _) = self { state } else { nil }
    }
}

extension PostgresError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .refused(let state, let message, let constraint):
            "PostgreSQL refused: \(message) (SQLSTATE \(state)"
                + (constraint.map { ", constraint \($0))" } ?? ")")
        case .disconnected(let why): "PostgreSQL is not reachable: \(why)"
        case .commitRefused(let why): "the transaction was rolled back at COMMIT: \(why)"
        case .commitOutcomeUnknown(let why): "the outcome of COMMIT is unknown: \(why)"
        case .poolExhausted(let seconds): "no database connection became free in \(seconds) s"
        case .decoding(let column, let wanted): "column \(column) is not a \(wanted)"
        case .migration(let why): "migration: \(why)"
        }
    }
}
