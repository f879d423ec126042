/// Growing, jittered pauses between attempts. A value: the caller sleeps.
public struct Backoff: Sendable {
    /// Seconds before the first repeat.
    public let first: Double
    /// Seconds that a pause never exceeds.
    public let limit: Double
    /// How far a pause may be shortened at random, as a share: 0.5 gives 50–100 %.
    public let jitter: Double
    public private(set) var attempts = 0

    public init(first: Double = 0.1, limit: Double = 5, jitter: Double = 0.5) {
        self.first = first
        self.limit = limit
        self.jitter = jitter
    }

    /// Seconds to wait before the next attempt.
    public mutating func next() -> Double {
        var random = SystemRandomNumberGenerator()
        return next(using: &random)
    }

    public mutating func next(using random: inout some RandomNumberGenerator) -> Double {
        var pause = first
        for _ in 0..<min(attempts, 40) where pause < limit { pause *= 2 }
        attempts += 1
        return min(pause, limit) * Double.random(in: (1 - jitter)...1, using: &random)
    }

    public mutating func reset() { attempts = 0 }
}
