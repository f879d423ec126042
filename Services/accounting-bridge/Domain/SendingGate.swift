import Primitives

/// Decides when a system may be talked to: a breaker that opens when it does not answer, a rate, and hours in which it is left alone. A value: the
/// clock and the dice are handed in.
struct SendingGate: Sendable {
    /// Orders a minute at most.
    let ratePerMinute: Int64
    let quiet: DayHours?

    /// Failures in a row.
    private(set) var failures: Int
    /// Not before: the breaker is open until then, after which one attempt tells.
    private(set) var openUntil: Timestamp?
    private var lastSent: Timestamp?

    /// Failures in a row after which it is said.
    static let alarmAfter = 3
    /// Seconds of the first pause and of the longest.
    static let firstPause = 1.0
    static let longestPause = 300.0

    init(ratePerMinute: Int64, quiet: DayHours? = nil, failures: Int = 0, openUntil: Timestamp? = nil) {
        (self.ratePerMinute, self.quiet, self.failures, self.openUntil) = (ratePerMinute, quiet, failures, openUntil)
    }

    enum Word: Equatable, Sendable {
        case go
        /// Seconds until it may be asked again.
        case wait(Double)
    }

    /// Whether the system may be spoken to at all.
    func mayTalk(_ now: Timestamp) -> Word {
        // Farther than any pause lies only what a clock that jumped has written.
        guard let openUntil, openUntil > now, openUntil <= now.adding(seconds: Self.longestPause) else { return .go }
        return .wait(openUntil.seconds(since: now))
    }

    /// Whether an order may be given to it. `clock` is `HH:MM` on the company's clock.
    func maySend(_ now: Timestamp, clock: String) -> Word {
        if case .wait(let seconds) = mayTalk(now) { return .wait(seconds) }
        if let quiet, quiet.holds(clock) { return .wait(Self.quietPause) }
        guard let lastSent else { return .go }
        let interval = 60 / Double(ratePerMinute)
        let due = lastSent.adding(seconds: interval)
        // Farther than that lies only what a clock that jumped has written.
        return due > now && due <= now.adding(seconds: interval) ? .wait(due.seconds(since: now)) : .go
    }

    /// Seconds after which quiet hours are looked at again.
    private static let quietPause = 20.0

    mutating func sent(_ now: Timestamp) { lastSent = now }

    mutating func answered() { (failures, openUntil) = (0, nil) }

    /// - Returns: whether it is time to say so.
    mutating func failed(_ now: Timestamp, using random: inout some RandomNumberGenerator) -> Bool {
        failures += 1
        let pause = min(Self.longestPause, Self.firstPause * Double(1 << min(failures - 1, 20)))
        openUntil = now.adding(seconds: pause * Double.random(in: 0.5...1, using: &random))
        return failures >= Self.alarmAfter
    }

    /// Seconds until `waiting` orders are through, when each takes `seconds`; nil when nobody can say.
    func drain(_ waiting: Int64, seconds: Double?) -> Double? {
        guard waiting > 0 else { return 0 }
        guard let seconds, failures == 0 else { return nil }
        return Double(waiting) * max(seconds, 60 / Double(ratePerMinute))
    }
}
