import Contracts
import Primitives

/// Consecutive events of one stream, as a live frame set (`EVT`) or as a page (`PAGE`).
struct EventBatch: Sendable {
    struct Header: Codable, Sendable {
        var v = 1
        var kind = "EVT"
        let stream: String
        let lane: Lane
        let epoch: Int64
        let term: Int64
        /// Number of the first body.
        let seq: Int64
        let n: Int
        /// Highest number given so far.
        let head: Int64
        let chainBefore: Link
        let chainAfter: Link
        /// In a page: lowest number still kept.
        var oldest: Int64?
        /// In a letter: who sends it.
        var from: String?
    }
    let header: Header
    let bodies: [[UInt8]]

    var first: Int64 { header.seq }
    var last: Int64 { header.seq + Int64(bodies.count) - 1 }

    /// Bodies of one live message at most, and their bytes together.
    static let liveCount = 64
    static let liveBytes = 64 * 1024
    /// The same for a page.
    static let pageCount = 500
    static let pageBytes = 1024 * 1024
}

/// `BCN`: where a stream stands, every second and after a burst.
struct Beacon: Codable, Sendable {
    var v = 1
    var kind = "BCN"
    let stream: String
    let lane: Lane
    let epoch: Int64
    let term: Int64
    let head: Int64
    let headchain: Link
    let oldest: Int64
    let state: String
    var from: String?
}

/// `HELLO`: a subscriber says where it is and asks where the publisher is.
struct Hello: Codable, Sendable {
    let from: String
    let stream: String
    let lane: Lane
    let epoch: Int64
    let seq: Int64
    let link: Link
}

/// `WELCOME`: the publisher's answer.
struct Welcome: Codable, Sendable {
    enum Status: String, Codable, Sendable {
        /// The position stands in the log.
        case match = "MATCH"
        /// The position is beyond the log's end: the publisher lost its tail.
        case ahead = "AHEAD"
        /// The number is in the log with another link.
        case diverged = "DIVERGED"
        /// The next event is no longer kept.
        case expired = "EXPIRED"
    }
    let from: String
    let stream: String
    let lane: Lane
    let status: Status
    let epoch: Int64
    let term: Int64
    let head: Int64
    let oldest: Int64
}

/// `PULLPAGE`: credit for one page, from a number on.
struct PullPage: Codable, Sendable {
    let from: String
    let stream: String
    let lane: Lane
    let seq: Int64
}

/// `POS`: how far a subscriber durably is; for retention and lag only.
struct Position: Codable, Sendable {
    let from: String
    let stream: String
    let lane: Lane
    let seq: Int64
}

/// What a letterbox or a SUB socket received, understood.
enum Inbound: Sendable {
    case events(EventBatch)
    case page(EventBatch)
    case beacon(Beacon)
    case hello(Hello)
    case welcome(Welcome)
    case pullPage(PullPage)
    case position(Position)
}

enum Wire {
    static func topic(stream: String, lane: Lane) -> String { "e/\(stream)/\(lane.rawValue)/" }

    static func live(_ batch: EventBatch) throws -> [[UInt8]] {
        [
            Array(topic(stream: batch.header.stream, lane: batch.header.lane).utf8),
            Array(try JSON.encode(batch.header)),
        ] + batch.bodies
    }

    static func live(_ beacon: Beacon) throws -> [[UInt8]] {
        [
            Array(topic(stream: beacon.stream, lane: beacon.lane).utf8),
            Array(try JSON.encode(beacon)),
        ]
    }

    static func letter(_ kind: String, _ header: some Encodable, _ bodies: [[UInt8]] = []) throws
        -> [[UInt8]]
    {
        [Array(kind.utf8), Array(try JSON.encode(header))] + bodies
    }

    /// Reads what came on a SUB socket; nil when it is nothing of ours.
    static func readLive(_ frames: [[UInt8]]) -> Inbound? {
        guard frames.count >= 2 else { return nil }
        if frames.count == 2, let beacon = try? JSON.decode(Beacon.self, from: frames[1]) {
            return .beacon(beacon)
        }
        return batch(frames).map { .events($0) }
    }

    /// Reads a letter and checks that `from` is the authenticated sender; nil when it is not, or
    /// nothing of ours.
    static func readLetter(_ frames: [[UInt8]], peer: String?) -> Inbound? {
        guard frames.count >= 2, let peer else { return nil }
        let header = frames[1]
        func read<T: Decodable>(_ type: T.Type, _ from: (T) -> String?) -> T? {
            guard let value = try? JSON.decode(type, from: header), from(value) == peer else {
                return nil
            }
            return value
        }
        switch String(decoding: frames[0], as: UTF8.self) {
        case "HELLO": return read(Hello.self) { $0.from }.map { .hello($0) }
        case "WELCOME": return read(Welcome.self) { $0.from }.map { .welcome($0) }
        case "PULLPAGE": return read(PullPage.self) { $0.from }.map { .pullPage($0) }
        case "POS": return read(Position.self) { $0.from }.map { .position($0) }
        case "BCN": return read(Beacon.self) { $0.from }.map { .beacon($0) }
        case "PAGE", "EVT":
            guard let batch = batch(frames), batch.header.from == peer else { return nil }
            return frames[0].first == UInt8(ascii: "P") ? .page(batch) : .events(batch)
        default: return nil
        }
    }

    private static func batch(_ frames: [[UInt8]]) -> EventBatch? {
        guard let header = try? JSON.decode(EventBatch.Header.self, from: frames[1]),
            header.n == frames.count - 2, header.n <= EventBatch.pageCount, header.seq > 0,
            header.v == 1
        else { return nil }
        return EventBatch(header: header, bodies: Array(frames.dropFirst(2)))
    }
}
