import Contracts
import Postgres
import Primitives
import Synchronization

/// A database transaction that also says things: events are collected and written as its last statement,
/// after every aggregate row has been locked. That is what makes order per key true.
public final class EventTransaction: StatementRunner {
    private struct State {
        var drafts: [EventDraft] = []
        var writes: [Write] = []
        var hooks: [@Sendable () -> Void] = []
    }
    private enum Write {
        case statement(Statement)
        case rows(RowInsert, [[RowValue]])
    }
    private let transaction: Transaction
    private let source: String
    private let state = Mutex(State())

    init(_ transaction: Transaction, source: String) {
        self.transaction = transaction
        self.source = source
    }

    @discardableResult
    public func run(_ statements: [Statement]) async throws -> [Rows] {
        let writes = takeWrites()
        let answers = try await transaction.run(writes + statements)
        return writes.isEmpty ? answers : Array(answers.dropFirst(writes.count))
    }

    /// A statement whose answer nobody needs: it travels in front of the next one that is waited for, at the latest with
    /// the commit, and saves a round trip. If it is refused, that one throws its error.
    public func write(_ sql: String, _ parameters: [Parameter] = []) {
        write([Statement(sql, parameters)])
    }

    public func write(_ statements: [Statement]) {
        state.withLock { $0.writes += statements.map { .statement($0) } }
    }

    /// Adds a row to an insert that others of this transaction may share; otherwise as ``write(_:_:)``.
    public func add(_ row: [RowValue], to insert: RowInsert) {
        precondition(row.count == insert.columns.count, "a row has a value for each column")
        state.withLock { state in
            if case .rows(insert, var rows)? = state.writes.last {
                state.writes.removeLast()
                rows.append(row)
                state.writes.append(.rows(insert, rows))
            } else {
                state.writes.append(.rows(insert, [row]))
            }
        }
    }

    /// Forgets statements that were not sent: what they belong to is undone.
    func dropWrites() { _ = takeWrites() }

    private func takeWrites() -> [Statement] {
        let writes = state.withLock { state in
            defer { state.writes = [] }
            return state.writes
        }
        return writes.map { write in
            switch write {
            case .statement(let statement): statement
            case .rows(let insert, let rows): insert.statement(rows)
            }
        }
    }

    /// Says `data` when the transaction commits. Returns the event's id, to be the cause of others.
    @discardableResult
    public func emit(
        _ data: some EventContract, key: String, subject: String? = nil, correlation: ID?,
        causation: ID?, notBefore: Timestamp? = nil, target: String? = nil, lane: Lane = .main
    ) throws -> ID {
        // An effect is never written down as earlier than its cause, whatever the clocks say.
        let at = max(Timestamp.now(), notBefore ?? Timestamp(milliseconds: 0))
        let draft = try EventDraft(
            data, source: source, key: key, subject: subject, correlation: correlation,
            causation: causation, at: at, target: target, lane: lane)
        state.withLock { $0.drafts.append(draft) }
        return draft.id
    }

    /// Says `data` in answer to `cause`, in the same journey.
    @discardableResult
    public func emit(
        _ data: some EventContract, key: String, answering cause: ReceivedEvent,
        target: String? = nil
    ) throws -> ID {
        try emit(
            data, key: key, correlation: cause.correlation, causation: cause.id,
            notBefore: cause.at, target: target)
    }

    /// Runs `hook` after the commit, in this process only: to tell open pages that something moved.
    public func afterCommit(_ hook: @escaping @Sendable () -> Void) {
        state.withLock { $0.hooks.append(hook) }
    }

    /// Writes what is left to write, then the collected events, and commits; the events.
    func finish(_ written: WrittenBodies) async throws -> [EventDraft] {
        let drafts = state.withLock { $0.drafts }
        written.add(drafts)
        try await transaction.commit(after: takeWrites() + (drafts.isEmpty ? [] : [EventLog.append(drafts)]))
        return drafts
    }

    /// Types of the events that would be said, each with its count.
    var spokenTypes: [String: Int] {
        state.withLock { state in Dictionary(state.drafts.map { ($0.type, 1) }, uniquingKeysWith: +) }
    }

    func runHooks() {
        for hook in state.withLock({ $0.hooks }) { hook() }
    }
}
