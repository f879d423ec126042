import Primitives

/// Which events of a stream that was settled after a fork come again although their effects stand.
struct EffectsStanding: Sendable {
    /// Copies of some were kept apart: these are known by their ids.
    var hasForkedCopies = false
    /// No copies were left of others: these are known by their number and by when they were said. For good, for what another subscriber's
    /// copies give back to the publisher gets numbers beyond.
    var retaken: Retaken?

    struct Retaken: Sendable {
        let to: Int64
        let before: Timestamp

        /// Said before our oldest copies, so that its effects stand.
        func isDone(_ event: ReceivedEvent) -> Bool { event.position.seq <= to && event.at <= before }

        /// As old, and numbered anew: given back by another subscriber's copies, or said by a clock that was far behind.
        func isDoubtful(_ event: ReceivedEvent) -> Bool { event.position.seq > to && event.at <= before }
    }

    var isEmpty: Bool { !hasForkedCopies && retaken == nil }
}
