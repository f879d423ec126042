import Glibc
import Logging
import Synchronization

/// Knows the handlers that are at it. One that does not come back takes its process with it: what it was at is found by its mark, and
/// set aside when that has happened ``Subscriber/deathLimit`` times.
final class HandlingWatch: Sendable {
    private struct Running {
        var last = 0
        var begun: [Int: (what: String, at: ContinuousClock.Instant)] = [:]
    }
    private let running = Mutex(Running())

    private let limit: Double

    /// - Parameter limit: seconds that a handler may take.
    init(limit: Double = 120) { self.limit = limit }

    /// - Parameter what: named when the body does not come back.
    func timed(_ what: @autoclosure () -> String, _ body: () async throws -> Void) async throws {
        let (what, now) = (what(), ContinuousClock.now)
        let place = running.withLock { running in
            running.last += 1
            running.begun[running.last] = (what, now)
            return running.last
        }
        defer { running.withLock { $0.begun[place] = nil } }
        try await body()
    }

    func endIfStuck(_ log: Logger) {
        let stuck = running.withLock { $0.begun.values.first { $0.at.duration(to: .now).seconds > limit } }
        guard let stuck else { return }
        log.critical("a handler does not come back; the process ends", metadata: ["at": "\(stuck.what)"])
        _exit(70)
    }
}
