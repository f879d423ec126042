/// Hours of the day, perhaps over midnight: `22:00-07:00`.
public struct DayHours: Sendable, Equatable, CustomStringConvertible {
    private let from, to: String

    /// Nil when it is not two different clocks.
    public init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, parts.allSatisfy(Self.isClock), parts[0] != parts[1] else { return nil }
        (from, to) = (parts[0], parts[1])
    }

    private static func isClock(_ text: String) -> Bool {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ $0.count == 2 && $0.allSatisfy { $0.isASCII && $0.isNumber } })
        else { return false }
        return (Int(parts[0]) ?? 24) < 24 && (Int(parts[1]) ?? 60) < 60
    }

    /// Whether `clock` (`HH:MM`) is within; the end is not.
    public func holds(_ clock: String) -> Bool {
        from < to ? (from..<to).contains(clock) : clock >= from || clock < to
    }

    /// Minutes until it ends; nil when `clock` is not within.
    public func minutesLeft(_ clock: String) -> Int? {
        guard holds(clock) else { return nil }
        func minutes(_ text: String) -> Int {
            let parts = text.split(separator: ":").compactMap { Int($0) }
            return parts.count == 2 ? parts[0] * 60 + parts[1] : 0
        }
        return (minutes(to) - minutes(clock) + 24 * 60) % (24 * 60)
    }

    public var description: String { "\(from)-\(to)" }
}
