import Synchronization

/// What the sockets' thread hands to a task: bounded, and when full the newest is dropped and counted. The
/// thread never waits; what is dropped stands in the publisher's log and is asked for again.
final class InputQueue<Element: Sendable>: Sendable {
    private struct State {
        var elements: [Element] = []
        var dropped = 0
    }
    private let state = Mutex(State())
    private let signal = Signal()
    private let limit: Int

    init(limit: Int) { self.limit = limit }

    /// False when it is full.
    @discardableResult
    func push(_ element: Element) -> Bool {
        let isTaken = state.withLock { state -> Bool in
            guard state.elements.count < limit else {
                state.dropped += 1
                return false
            }
            state.elements.append(element)
            return true
        }
        signal.poke()
        return isTaken
    }

    /// Everything that has come; waits up to `seconds` when there is nothing.
    func next(seconds: Double) async -> [Element] {
        if let ready = take() { return ready }
        guard seconds > 0 else { return [] }
        await signal.wait(seconds: seconds)
        return take() ?? []
    }

    private func take() -> [Element]? {
        state.withLock { state in
            defer { state.elements = [] }
            return state.elements.isEmpty ? nil : state.elements
        }
    }

    var dropped: Int { state.withLock { $0.dropped } }
}
