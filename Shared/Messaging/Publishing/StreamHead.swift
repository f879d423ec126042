import Primitives

/// Where one sequence of this service stands: what its beacons say.
struct StreamHead: Sendable {
    let stream: String
    let lane: Lane
    var epoch: Int64
    var term: Int64
    var seq: Int64
    var link: Link
    var oldest: Int64 = 1

    /// Its name among this service's own sequences.
    var sequence: String { "\(stream)/\(lane.rawValue)" }

    func beacon(state: String, from: String? = nil) -> Beacon {
        Beacon(
            stream: stream, lane: lane, epoch: epoch, term: term, head: seq, headchain: link,
            oldest: oldest, state: state, from: from)
    }
}
