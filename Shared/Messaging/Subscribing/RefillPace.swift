/// How a subscriber that is far behind goes on: as fast as it can, but beside a trickle of live events in small steps with pauses,
/// so that those who take the live ones hardly notice. Beside a flood it does not pause: it would never get there.
struct RefillPace {
    /// Live events a second up to which they are a trickle.
    static let trickle = 1000.0
    /// Events behind from which it is a refill and no hiccup.
    static let refill: Int64 = 1000
    /// Events of one transaction beside a trickle: what it writes has to be flushed by the next live commit.
    static let step = 64
    /// Of each step's time, how long the pause behind it is; and its seconds at most: a step that waited for the database
    /// is no measure.
    static let rest = 1.0, longestRest = 0.25

    private var head: Int64 = 0
    private var since = 0.0
    private var rate = 0.0

    /// - Parameter head: the publisher's highest number, as far as it is known.
    mutating func saw(head: Int64, now: Double) {
        guard now - since >= 1 else { return }
        rate = self.head > 0 ? Double(head - self.head) / (now - since) : 0
        self.head = head
        since = now
    }

    static func pause(after seconds: Double) -> Double { min(seconds * rest, longestRest) }

    func isGentle(behind: Int64) -> Bool { behind > Self.refill && rate > 0 && rate <= Self.trickle }
}
