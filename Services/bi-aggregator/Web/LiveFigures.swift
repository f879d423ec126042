import Synchronization

/// Tells open dashboards that figures moved.
final class LiveFigures: Sendable {
    private let listeners = Mutex<[Int: AsyncStream<String>.Continuation]>([:])
    private let nextKey = Mutex(0)
    private static let limit = 300

    func changed(_ cells: [Cell]) {
        let names = Set(cells.map(\.metric)).sorted().joined(separator: ",")
        listeners.withLock { for continuation in $0.values { continuation.yield(names) } }
    }

    func listen() -> AsyncStream<String>? {
        let key = nextKey.withLock { key in
            key += 1
            return key
        }
        let (stream, continuation) = AsyncStream<String>.makeStream(bufferingPolicy: .bufferingNewest(8))
        let taken = listeners.withLock { all -> Bool in
            guard all.count < Self.limit else { return false }
            all[key] = continuation
            return true
        }
        guard taken else { return nil }
        continuation.onTermination = { [weak self] _ in self?.listeners.withLock { $0[key] = nil } }
        return stream
    }
}
