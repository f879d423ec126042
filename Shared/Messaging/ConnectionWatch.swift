import Primitives
import ZeroMQ

/// Tells when libzmq has given a connection up for good: it ended and no retry follows (a refused key, a message over
/// the limit; reference messaging 20, 33). Then it must be connected again by hand, with growing pauses.
/// Time is handed in as seconds of a monotonic clock.
struct ConnectionWatch: Sendable {
    private var lostAt: Double?
    private var lastReason = ""
    private var notBefore = 0.0
    private var backoff = Backoff(first: 1, limit: 30)

    /// Seconds in which libzmq's own retry shows.
    static let patience = 1.0

    mutating func saw(_ event: ConnectionEvent, now: Double) {
        switch event {
        case .connected, .retried, .accepted: lostAt = nil
        case .handshakeSucceeded:
            lostAt = nil
            backoff.reset()
        case .disconnected:
            if lostAt == nil { lostAt = now }
            if lastReason.isEmpty { lastReason = "the connection ended" }
        case .handshakeFailed(let why):
            lostAt = now
            lastReason = "the handshake failed: \(why)"
        }
    }

    /// Why the connection must be made again now; nil while it lives or libzmq tries by itself.
    mutating func reasonToReconnect(now: Double) -> String? {
        guard let lostAt, now - lostAt >= Self.patience, now >= notBefore else { return nil }
        self.lostAt = nil
        notBefore = now + backoff.next()
        defer { lastReason = "" }
        return lastReason
    }
}
