import Contracts
import Primitives

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
    /// The position that was asked about.
    let seq: Int64
    let epoch: Int64
    let term: Int64
    let head: Int64
    let oldest: Int64
    /// For an expired position: the link before `oldest`.
    var beforeOldest: Link?
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

/// `CTL`: what an operator's word sets in motion between two services.
struct Control: Codable, Sendable {
    enum What: String, Codable, Sendable {
        /// Bodies that the publisher lost, as the subscriber kept them; `seq` is the first one's old number.
        case copies
        /// They are durable in the publisher's log; `seq` is the last one's old number.
        case copied
        /// A subscriber below `oldest` asks for the present state as events.
        case snapshot
        /// The state follows; `seq`, `link` and `epoch` are the place after which it does.
        case snapshotting
        /// It is not done; `reason` says why.
        case refused
    }
    let from: String
    let stream: String
    let lane: Lane
    let what: What
    let seq: Int64
    var link: Link?
    var epoch: Int64?
    var reason: String?
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
    case control(Control, bodies: [[UInt8]])

    /// Of the bodies that it carries.
    var byteCount: Int {
        switch self {
        case .events(let batch), .page(let batch): batch.bodies.reduce(0) { $0 + $1.count }
        case .control(_, let bodies): bodies.reduce(0) { $0 + $1.count }
        case .beacon, .hello, .welcome, .pullPage, .position: 0
        }
    }
}
