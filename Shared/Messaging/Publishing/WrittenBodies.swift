import Primitives
import Synchronization

/// Bodies of events that this process has just committed, until they are numbered: so the stamper need not read back what was
/// written a moment ago. A memory and nothing more: what is not here is read from the log.
final class WrittenBodies: Sendable {
    private struct State {
        var bodies: [ID: [UInt8]] = [:]
        /// In the order they came; those before `first` are gone.
        var order: [ID] = []
        var first = 0
        var bytes = 0

        mutating func remove(_ id: ID) -> [UInt8]? {
            guard let body = bodies.removeValue(forKey: id) else { return nil }
            bytes -= body.count
            return body
        }
    }
    private let state = Mutex(State())

    /// Bytes kept at most; beyond it the oldest go.
    static let bytesLimit = 4 * 1024 * 1024

    func add(_ drafts: [EventDraft]) {
        state.withLock { state in
            for draft in drafts {
                state.bodies[draft.id] = draft.body
                state.bytes += draft.body.count
                state.order.append(draft.id)
            }
            while state.bytes > Self.bytesLimit, state.first < state.order.count {
                _ = state.remove(state.order[state.first])
                state.first += 1
            }
            while state.first < state.order.count, state.bodies[state.order[state.first]] == nil { state.first += 1 }
            if state.first > 1024, state.first * 2 > state.order.count {
                state.order.removeFirst(state.first)
                state.first = 0
            }
        }
    }

    func take(_ ids: [ID]) -> [[UInt8]?] { state.withLock { state in ids.map { state.remove($0) } } }
}
