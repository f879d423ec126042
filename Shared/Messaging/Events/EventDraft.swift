import Contracts
import FoundationEssentials
import Primitives

/// An event about to be written: its CloudEvents body is made here, once, and never changed again.
public struct EventDraft: Sendable {
    public let id: ID
    public let stream: String
    public let lane: Lane
    public let key: String
    public let type: String
    public let at: Timestamp
    public let correlation: ID?
    public let causation: ID?
    let body: [UInt8]

    /// Bytes of a whole event at most; larger content is stored once and referred to.
    public static let bodyLimit = 256 * 1024

    /// - Parameters:
    ///   - source: the service that says it, `crm-core`.
    ///   - key: events of one key keep their order everywhere: the aggregate's id.
    ///   - correlation: the journey.
    ///   - causation: the event this one answers.
    ///   - target: set for a command to one service; nil for a fact.
    public init<Contract: EventContract>(
        _ data: Contract, source: String, key: String, subject: String? = nil,
        correlation: ID?, causation: ID?, id: ID = .make(), at: Timestamp = .now(),
        target: String? = nil, lane: Lane = .main
    ) throws {
        self.id = id
        self.stream = target.map { "cmd.\($0)" } ?? source
        self.lane = lane
        self.key = key
        self.type = Contract.type
        self.at = at
        self.correlation = correlation
        self.causation = causation
        let envelope = Envelope(
            id: id, source: source, type: Contract.type, subject: subject, key: key, time: at, correlation: correlation,
            causation: causation)
        body = envelope.bytes(data: try JSON.encode(data))
        guard body.count <= Self.bodyLimit else {
            throw EventTooLarge(type: type, bytes: body.count)
        }
    }

    /// An event of ours that the log lost and a subscriber kept, exactly as it was.
    init(copy: ReceivedEvent, stream: String, lane: Lane) {
        id = copy.id
        self.stream = stream
        self.lane = lane
        key = copy.key
        type = copy.type
        at = copy.at
        correlation = copy.correlation
        causation = copy.causation
        body = copy.bytes
    }

    var sequence: String { "\(stream)/\(lane.rawValue)" }
}

/// Independent sequences, so that a mass import never delays a deal.
public enum Lane: String, Codable, Sendable, CaseIterable { case main, bulk }

public struct EventTooLarge: Error, CustomStringConvertible {
    public let type: String
    public let bytes: Int
    public var description: String {
        "an event \(type) of \(bytes) bytes is over the limit of \(EventDraft.bodyLimit)"
    }
}
