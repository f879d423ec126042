import Contracts
import FoundationEssentials
import Primitives

/// An event as it arrived: the exact bytes, and its attributes read from them.
public struct ReceivedEvent: Sendable {
    public let id: ID
    public let source: String
    public let type: String
    public let key: String
    public let subject: String?
    public let at: Timestamp
    public let correlation: ID?
    public let causation: ID?
    public let position: StreamPosition
    public let bytes: [UInt8]
    /// Where `data` lies in them.
    private let data: Range<Int>

    /// - Throws: ``Unreadable`` when the bytes are no CloudEvent of ours.
    init(_ bytes: [UInt8], position: StreamPosition) throws {
        guard let (envelope, data) = Envelope.read(bytes) else { throw Unreadable(what: "the event at \(position)") }
        id = envelope.id
        source = envelope.source
        type = envelope.type
        key = envelope.key
        subject = envelope.subject
        at = envelope.time
        correlation = envelope.correlation
        causation = envelope.causation
        self.data = data
        self.position = position
        self.bytes = bytes
    }

    /// The message that a snapshot restates: of this event's place, and of its own time.
    func restating(_ snapshot: StateSnapshot) throws -> ReceivedEvent {
        let envelope = Envelope(
            id: id, source: source, type: snapshot.says, subject: subject, key: key, time: snapshot.at,
            correlation: snapshot.journeyId, causation: nil)
        return try ReceivedEvent(envelope.bytes(data: try JSON.encode(snapshot.data)), position: position)
    }

    /// The event's data as its contract.
    public func data<Contract: EventContract>(as contract: Contract.Type) throws -> Contract {
        do { return try JSON.decode(contract, from: bytes[data]) } catch {
            throw Unreadable(what: "the data of \(type)")
        }
    }

    /// The bytes are not what they claim. Holds no values: they may be personal data.
    public struct Unreadable: Error, CustomStringConvertible {
        let what: String
        public var description: String { "\(what) could not be read" }
    }
}

/// Where an event stands: publisher, stream, lane and sequence number.
public struct StreamPosition: Hashable, Sendable, CustomStringConvertible {
    public let stream: StreamName
    public let seq: Int64
    public var description: String { "\(stream)#\(seq)" }
}

public struct StreamName: Hashable, Sendable, CustomStringConvertible {
    public let publisher: String
    /// The publisher's name for facts; `cmd.<target>` for commands.
    public let stream: String
    public let lane: Lane

    public init(publisher: String, stream: String? = nil, lane: Lane = .main) {
        self.publisher = publisher
        self.stream = stream ?? publisher
        self.lane = lane
    }

    public var description: String { "\(publisher)/\(stream)/\(lane.rawValue)" }
}
