import Synchronization

/// What the sockets' thread hands to a task: bounded, and when full the newest is dropped and counted. The
/// thread never waits; what is dropped stands in the publisher's log and is asked for again.
final class InputQueue<Element: Sendable>: Sendable {
    private struct State {
        var elements: [Element] = []
        var bytes = 0
        var dropped = 0
    }
    private let state = Mutex(State())
    private let signal = Signal()
    private let limit, byteLimit: Int
    private let size: @Sendable (Element) -> Int

    /// - Parameters:
    ///   - limit: elements that wait at most.
    ///   - bytes: their bytes together at most; one that is larger is taken alone.
    init(limit: Int, bytes: Int, size: @escaping @Sendable (Element) -> Int) {
        self.limit = limit
        byteLimit = bytes
        self.size = size
    }

    /// False when it is full.
    @discardableResult
    func push(_ element: Element) -> Bool {
        let bytes = size(element)
        let isTaken = state.withLock { state -> Bool in
            guard state.elements.isEmpty || state.elements.count < limit && state.bytes + bytes <= byteLimit else {
                state.dropped += 1
                return false
            }
            state.elements.append(element)
            state.bytes += bytes
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
            defer { (state.elements, state.bytes) = ([], 0) }
            return state.elements.isEmpty ? nil : state.elements
        }
    }

    var dropped: Int { state.withLock { $0.dropped } }
}
