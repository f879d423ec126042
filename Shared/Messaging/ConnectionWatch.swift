import Primitives
import ZeroMQ

/// Tells when libzmq has given a connection up for good: it ended and no retry follows (a refused key, a message over
/// the limit; reference messaging 20, 33). Then it must be connected again by hand, with growing pauses.
/// Time is handed in as seconds of a monotonic clock.
struct ConnectionWatch: Sendable {
    /// By endpoint: a peer may have a door on each of two hosts, of which the closed one is retried for ever.
    private var lost: [String: Double] = [:]
    private var lastReason = ""
    private var notBefore = 0.0
    private var backoff = Backoff(first: 1, limit: 30)

    /// Seconds in which libzmq's own retry shows.
    static let patience = 1.0

    mutating func saw(_ event: ConnectionEvent, at endpoint: String, now: Double) {
        switch event {
        case .connected, .retried, .accepted: lost[endpoint] = nil
        case .handshakeSucceeded:
            lost[endpoint] = nil
            backoff.reset()
        case .disconnected:
            if lost[endpoint] == nil { lost[endpoint] = now }
            if lastReason.isEmpty { lastReason = "the connection ended" }
        case .handshakeFailed(let why):
            lost[endpoint] = now
            lastReason = "the handshake failed: \(why)"
        }
    }

    /// It could not be made again just now.
    mutating func failed(now: Double) {
        lost[""] = now
        lastReason = "it could not be made again"
    }

    /// Why the connection must be made again now; nil while it lives or libzmq tries by itself.
    mutating func reasonToReconnect(now: Double) -> String? {
        guard let first = lost.values.min(), now - first >= Self.patience, now >= notBefore else { return nil }
        lost = [:]
        notBefore = now + backoff.next()
        defer { lastReason = "" }
        return lastReason
    }
}
