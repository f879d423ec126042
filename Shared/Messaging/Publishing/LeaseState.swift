import Synchronization

/// Whether this process leads its schema, and where its streams stand.
final class LeaseState: Sendable {
    private struct State {
        var heads: [String: StreamHead] = [:]
        var reason: String? = "not started"
        var turns = 0
    }
    private let state = Mutex(State())

    func take(_ heads: [StreamHead]) {
        state.withLock { state in
            if state.reason != nil { state.turns += 1 }
            state.reason = nil
            for head in heads { state.heads[head.sequence] = head }
        }
    }
    func move(_ head: StreamHead) { state.withLock { $0.heads[head.sequence] = head } }
    func lose(_ reason: String) { state.withLock { $0.reason = reason } }

    /// How often the lead was taken. Another turn means that a session was lost, perhaps with the server's last commits.
    var turns: Int { state.withLock { $0.turns } }
    /// Nil while this process leads; else why it does not.
    var missing: String? { state.withLock { $0.reason } }
    var heads: [StreamHead] {
        state.withLock { $0.reason == nil ? Array($0.heads.values) : [] }
    }
    func head(_ stream: String, _ lane: Lane) -> StreamHead? {
        state.withLock { $0.heads["\(stream)/\(lane.rawValue)"] }
    }
}
