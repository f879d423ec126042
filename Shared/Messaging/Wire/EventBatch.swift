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
