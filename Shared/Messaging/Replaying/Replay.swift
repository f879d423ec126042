import Postgres
import Primitives

/// A replay as it is shown.
public struct Replay: Codable, Sendable {
    public let id: ID
    /// `planned`, `applying`, `applied` or `cancelled`.
    public let state: String
    public let plannedAt: Timestamp
    public let plannedBy: String
    public let appliedBy: String?
    public let appliedAt: Timestamp?
    public let filter: String
    /// Messages of the frozen list, by what came of them.
    public let counts: [String: Int]
    public let preview: ReplayPreview?

    public init(
        id: ID, state: String, plannedAt: Timestamp, plannedBy: String, appliedBy: String?, appliedAt: Timestamp?,
        filter: String, counts: [String: Int], preview: ReplayPreview?
    ) {
        self.id = id
        self.state = state
        self.plannedAt = plannedAt
        self.plannedBy = plannedBy
        self.appliedBy = appliedBy
        self.appliedAt = appliedAt
        self.filter = filter
        self.counts = counts
        self.preview = preview
    }
}

/// What the real handlers did in the transaction that was rolled back.
public struct ReplayPreview: Codable, Sendable {
    public struct Change: Codable, Sendable {
        public let table: String
        public var added = 0
        public var changed = 0
        public var removed = 0
    }
    /// Messages that were tried; fewer than the list when it is long.
    public var tried = 0
    public var wouldSucceed = 0
    public var changeNothing = 0
    /// Reason → messages that would fail with it.
    public var wouldFail: [String: Int] = [:]
    public var changes: [Change] = []
    /// Type → events that would be said.
    public var says: [String: Int] = [:]

    public init() {}
}

/// One message of a frozen list.
public struct ReplayItem: Encodable, Sendable {
    public let place: Int
    public let source: ReplayFilter.Source
    public let publisher, sequence: String
    public let seq: Int64
    public let eventId: ID
    public let type, key: String
    public let journeyId: ID?
    public let at: Timestamp
    public let supersedes: ID?
    /// `waiting`, `done`, `failed` or `cancelled`.
    public let outcome: String
    public let reason: String?
    let stream: StreamName

    private enum CodingKeys: CodingKey {
        case place, source, publisher, sequence, seq, eventId, type, key, journeyId, at, supersedes, outcome, reason
    }

    static let columns = """
        i.place, i.source, i.publisher, i.stream, i.lane, i.seq, i.event_id, i.type, i.key, i.correlation, i.at,
        i.supersedes, i.outcome, i.reason
        """

    init(_ row: Row) throws {
        place = Int(try row.int("place"))
        source = try row.string("source") == "parked" ? .parked : .taken
        stream = StreamName(
            publisher: try row.string("publisher"), stream: try row.string("stream"),
            lane: Lane(rawValue: try row.string("lane")) ?? .main)
        publisher = stream.publisher
        sequence = "\(stream.stream)/\(stream.lane.rawValue)"
        seq = try row.int("seq")
        eventId = try row.id("event_id")
        type = try row.string("type")
        key = try row.string("key")
        journeyId = try row.optionalID("correlation")
        at = try row.time("at")
        supersedes = try row.optionalID("supersedes")
        outcome = try row.string("outcome")
        reason = try row.optionalString("reason")
    }
}
