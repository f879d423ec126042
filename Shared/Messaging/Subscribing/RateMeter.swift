/// How many a second, over the last seconds in which there were some.
struct RateMeter: Sendable {
    private(set) var rate = 0.0
    private var since: Double?
    private var counted: Int64 = 0

    /// Seconds over which it is measured.
    static let window = 5.0

    mutating func count(_ count: Int64, now: Double) {
        guard count > 0 || counted > 0 else { return }
        let begin = since ?? now
        since = begin
        counted += max(0, count)
        guard now - begin >= Self.window else { return }
        rate = Double(counted) / (now - begin)
        since = nil
        counted = 0
    }
}
