import Dispatch
import ServiceKit
import Sodium
import Synchronization

/// Compares passwords one at a time on a queue of its own: each takes some 50 ms of a core, which must not be taken
/// from the tasks that answer everybody else.
final class PasswordChecks: Sendable {
    private let queue = DispatchQueue(label: "crm-core.passwords")
    private let waiting = Mutex(0)

    /// Comparisons waiting at most; more than that is an attack, and is told to come again.
    static let waitingLimit = 40

    func matches(_ password: String, _ hash: String) async throws -> Bool {
        let taken = waiting.withLock { waiting -> Bool in
            guard waiting < Self.waitingLimit else { return false }
            waiting += 1
            return true
        }
        guard taken else {
            throw Problem(.serviceUnavailable, "busy", "Too many people log in at once; try again in a moment")
        }
        defer { waiting.withLock { $0 -= 1 } }
        return await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: Password.matches(password, hash)) }
        }
    }
}
