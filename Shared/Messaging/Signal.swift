import Synchronization

/// Wakes one waiting task; pokes that come while it works are not lost, and many are one.
public final class Signal: Sendable {
    private struct State {
        var poked = false
        var pokes = 0
        var waiter: CheckedContinuation<Void, Never>?
        var round = 0
        /// The last round that ended before anybody waited in it.
        var ended = 0
    }
    private let state = Mutex(State())

    public init() {}

    public func poke() {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            defer { state.waiter = nil }
            state.pokes += 1
            state.poked = state.waiter == nil
            return state.waiter
        }
        waiter?.resume()
    }

    /// Pokes so far: whoever waited sees whether it was one that ended it.
    public var pokes: Int { state.withLock { $0.pokes } }

    /// Returns after a poke, after `seconds`, or on cancellation.
    public func wait(seconds: Double) async {
        let round = state.withLock { state in
            state.round += 1
            return state.round
        }
        let timer = Task {
            try await Task.sleep(for: .seconds(seconds))
            self.end(round)
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let now = state.withLock { state -> Bool in
                    if state.poked || state.ended == round || Task.isCancelled {
                        state.poked = false
                        return true
                    }
                    state.waiter = continuation
                    return false
                }
                if now { continuation.resume() }
            }
        } onCancel: {
            self.end(round)
        }
        timer.cancel()
    }

    private func end(_ round: Int) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard state.round == round else { return nil }
            if state.waiter == nil { state.ended = round }
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }
}
