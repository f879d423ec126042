import Primitives

/// Which events of a stream that was settled after a fork come again although their effects stand.
struct EffectsStanding: Sendable {
    /// Copies of some were kept apart: these are known by their ids.
    var hasForkedCopies = false
    /// No copies were left of others: these are known by their number and by when they were said.
    var retaken: Retaken?

    struct Retaken: Sendable {
        let to: Int64
        let before: Timestamp

        func covers(_ event: ReceivedEvent) -> Bool { event.position.seq <= to && event.at <= before }
    }

    var isEmpty: Bool { !hasForkedCopies && retaken == nil }
}
