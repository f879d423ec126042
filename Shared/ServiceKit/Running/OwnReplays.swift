import Contracts
import Messaging
import Primitives

/// Work of a service's own that was set aside and can be done again, beside the messages of the bus; planned, previewed and applied through the same
/// `/api/v1/replays`.
public protocol OwnReplays: Sendable {
    /// Freezes what the filter chooses and previews it. Nil: the filter speaks of messages of the bus.
    ///
    /// - Throws: ``ReplayRefused``.
    func plan(_ filter: RawJSON, by: String) async throws -> ID?
    func list(limit: Int) async throws -> [Replay]
    func find(_ id: ID) async throws -> Replay?
    /// Items behind `after`, in their order.
    func items(_ id: ID, after: Int, limit: Int) async throws -> [OwnReplayItem]
    /// - Throws: ``ReplayRefused`` when it was applied or cancelled before.
    func apply(_ id: ID, by: String) async throws
    func cancel(_ id: ID, by: String) async throws
}

/// One item of a frozen list of a service's own work.
public struct OwnReplayItem: Encodable, Sendable {
    public let place: Int
    public let source = "exchange"
    /// Whose it is: `1c/<base>`.
    public let publisher: String
    /// What kind of work.
    public let sequence: String
    public let seq: Int
    public let eventId: ID
    public let type, key: String
    public let journeyId: ID?
    public let at: Timestamp
    public let outcome: String
    public let reason: String?

    public init(
        place: Int, publisher: String, sequence: String, id: ID, type: String, key: String, journeyId: ID?,
        at: Timestamp,
        outcome: String, reason: String?
    ) {
        self.place = place
        self.publisher = publisher
        self.sequence = sequence
        seq = place
        eventId = id
        self.type = type
        self.key = key
        self.journeyId = journeyId
        self.at = at
        self.outcome = outcome
        self.reason = reason
    }
}
