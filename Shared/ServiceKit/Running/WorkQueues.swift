import Contracts
import Primitives

/// Work that a service has taken on and not done yet, as people see it.
public struct WorkQueue: AnswerShape {
    /// A stable name: `incoming`, `outbox:shop`, `orders:ut`, `letters`.
    public let name: String
    public let waiting: Int
    /// Seconds that the oldest waits; null when nothing does.
    public let oldestSeconds: Double?
    /// `flows`, `paused` or `failing`.
    public let state: String
    /// Who or what it waits for, in words.
    public let waitsFor: String?

    public init(name: String, waiting: Int, oldestSeconds: Double?, state: String = "flows", waitsFor: String? = nil) {
        self.name = name
        self.waiting = waiting
        self.oldestSeconds = oldestSeconds
        self.state = state
        self.waitsFor = waitsFor
    }
}

/// Where something of one journey waits now.
public struct QueuePlace: AnswerShape {
    public let service, queue, what: String
    /// How many are before it.
    public let ahead: Int
    public let since: Timestamp
    public let waitsFor: String

    public init(service: String, queue: String, what: String, ahead: Int, since: Timestamp, waitsFor: String) {
        self.service = service
        self.queue = queue
        self.what = what
        self.ahead = ahead
        self.since = since
        self.waitsFor = waitsFor
    }
}
