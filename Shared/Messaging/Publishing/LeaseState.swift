import Synchronization

/// Whether this process leads its schema, and where its streams stand.
final class LeaseState: Sendable {
    private struct State {
        var heads: [String: StreamHead] = [:]
        var reason: String? = "not started"
    }
    private let state = Mutex(State())

    func take(_ heads: [StreamHead]) {
        state.withLock { state in
            state.reason = nil
            for head in heads { state.heads[head.sequence] = head }
        }
    }
    func move(_ head: StreamHead) { state.withLock { $0.heads[head.sequence] = head } }
    func lose(_ reason: String) { state.withLock { $0.reason = reason } }

    /// Nil while this process leads; else why it does not.
    var missing: String? { state.withLock { $0.reason } }
    var heads: [StreamHead] {
        state.withLock { $0.reason == nil ? Array($0.heads.values) : [] }
    }
    func head(_ stream: String, _ lane: Lane) -> StreamHead? {
        state.withLock { $0.heads["\(stream)/\(lane.rawValue)"] }
    }
}
