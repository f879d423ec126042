import Synchronization

/// Open pages that want to know when something moves. In memory and of this process only: a page that misses it sees the
/// truth when it loads.
public final class Listeners<News: Sendable>: Sendable {
    private struct Listener {
        let wants: @Sendable (News) -> Bool
        let continuation: AsyncStream<News?>.Continuation
    }
    private struct State {
        var listeners: [Int: Listener] = [:]
        var nextKey = 0
    }
    private let state = Mutex(State())
    private let limit: Int

    /// News that wait for one slow page; the oldest go first.
    private static var waitingLimit: Int { 16 }

    /// Seconds between signs of life: only a write that fails tells that a page was closed, and without one a page on which nothing moves
    /// would keep its place for ever.
    private static var beat: Duration { .seconds(5) }

    /// - Parameter limit: open pages at a time.
    public init(limit: Int) { self.limit = limit }

    public func tell(_ news: News) {
        state.withLock { state in
            for listener in state.listeners.values where listener.wants(news) { listener.continuation.yield(news) }
        }
    }

    /// News of the wanted kind, and nil when it is time for a sign of life; no stream when too many pages are open.
    public func listen(where wants: @escaping @Sendable (News) -> Bool = { _ in true }) -> AsyncStream<News?>? {
        let (stream, continuation) = AsyncStream<News?>.makeStream(
            bufferingPolicy: .bufferingNewest(Self.waitingLimit))
        let taken = state.withLock { state -> Int? in
            guard state.listeners.count < limit else { return nil }
            state.nextKey += 1
            state.listeners[state.nextKey] = Listener(wants: wants, continuation: continuation)
            return state.nextKey
        }
        guard let key = taken else { return nil }
        let beats = Task {
            while !Task.isCancelled {
                try? await Task.sleep(for: Self.beat)
                continuation.yield(nil)
            }
        }
        continuation.onTermination = { [weak self] _ in
            beats.cancel()
            self?.state.withLock { $0.listeners[key] = nil }
        }
        return stream
    }
}
