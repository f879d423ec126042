import Primitives
import Synchronization

/// Tells open pages that something moved on a journey. In memory and of this process only: a page that misses it
/// sees the truth when it loads.
final class LivePages: Sendable {
    private struct Listener {
        let journey: ID?
        let continuation: AsyncStream<ID>.Continuation
    }
    private let listeners = Mutex<[Int: Listener]>([:])
    private let nextKey = Mutex(0)

    /// Open pages at most.
    static let limit = 500

    func changed(_ journey: ID) {
        listeners.withLock { all in
            for listener in all.values where listener.journey == nil || listener.journey == journey {
                listener.continuation.yield(journey)
            }
        }
    }

    /// Changes of one journey, or of all; nil when too many pages are open.
    func listen(_ journey: ID?) -> AsyncStream<ID>? {
        let key = nextKey.withLock { key in
            key += 1
            return key
        }
        let (stream, continuation) = AsyncStream<ID>.makeStream(bufferingPolicy: .bufferingNewest(16))
        let taken = listeners.withLock { all -> Bool in
            guard all.count < Self.limit else { return false }
            all[key] = Listener(journey: journey, continuation: continuation)
            return true
        }
        guard taken else { return nil }
        continuation.onTermination = { [weak self] _ in
            self?.listeners.withLock { $0[key] = nil }
        }
        return stream
    }
}
