import Glibc

/// A moment in UTC, in whole milliseconds since 1970-01-01. Written as RFC 3339 with milliseconds:
/// `2026-01-31T09:05:00.123Z`.
///
/// Own arithmetic instead of `Date`: a `Double` of seconds turns .123 into .1230001.
public struct Timestamp: Hashable, Comparable, Sendable {
    public let milliseconds: Int64

    public init(milliseconds: Int64) { self.milliseconds = milliseconds }

    public static func now() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }

    public static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.milliseconds < right.milliseconds
    }

    public func adding(milliseconds: Int64) -> Timestamp {
        Timestamp(milliseconds: self.milliseconds + milliseconds)
    }

    public func adding(seconds: Double) -> Timestamp {
        adding(milliseconds: Int64(seconds * 1000))
    }

    /// Seconds from `other` to this moment; negative when `other` is later.
    public func seconds(since other: Timestamp) -> Double {
        Double(milliseconds - other.milliseconds) / 1000
    }

    /// The UTC date, `2026-01-31`.
    public var day: String {
        let (year, month, day) = Self.civil(days: milliseconds.floorDivided(by: 86_400_000))
        return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))"
    }
}

extension Timestamp: CustomStringConvertible {
    public var description: String {
        var out: [UInt8] = []
        appendText(to: &out)
        return String(decoding: out, as: UTF8.self)
    }

    /// Appends the form that we write: each event passes here, so no text is built up from parts.
    public func appendText(to out: inout [UInt8]) {
        let days = milliseconds.floorDivided(by: 86_400_000)
        let inDay = milliseconds - days * 86_400_000
        let (year, month, day) = Self.civil(days: days)
        append(year, 4, then: "-", to: &out)
        append(month, 2, then: "-", to: &out)
        append(day, 2, then: "T", to: &out)
        append(inDay / 3_600_000, 2, then: ":", to: &out)
        append(inDay / 60_000 % 60, 2, then: ":", to: &out)
        append(inDay / 1000 % 60, 2, then: ".", to: &out)
        append(inDay % 1000, 3, then: "Z", to: &out)
    }

    private func append(_ number: Int64, _ width: Int, then mark: Unicode.Scalar, to out: inout [UInt8]) {
        var scale: Int64 = 1
        for _ in 1..<width { scale *= 10 }
        if number < 0 || number >= scale * 10 {
            out += padded(number, width).utf8
        } else {
            while scale > 0 {
                out.append(UInt8(ascii: "0") + UInt8(number / scale % 10))
                scale /= 10
            }
        }
        out.append(UInt8(ascii: mark))
    }
}

extension Timestamp {
    /// Reads the form that we write and no other: `2026-01-31T09:05:00.123Z`.
    public init?(canonical bytes: UnsafeBufferPointer<UInt8>) {
        guard bytes.count == 24, bytes[4] == 45, bytes[7] == 45, bytes[10] == 84, bytes[13] == 58, bytes[16] == 58,
            bytes[19] == 46, bytes[23] == 90
        else { return nil }
        func number(_ range: Range<Int>) -> Int64? {
            var value: Int64 = 0
            for index in range {
                guard (48...57).contains(bytes[index]) else { return nil }
                value = value * 10 + Int64(bytes[index] - 48)
            }
            return value
        }
        guard let year = number(0..<4), let month = number(5..<7), (1...12).contains(month), let day = number(8..<10),
            (1...31).contains(day), let hour = number(11..<13), hour < 24, let minute = number(14..<16), minute < 60,
            let second = number(17..<19), second < 61, let milli = number(20..<23)
        else { return nil }
        let days = Self.days(year: year, month: month, day: day)
        self.init(milliseconds: ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000 + milli)
    }
}

extension Timestamp {
    /// Reads RFC 3339, and PostgreSQL's `2026-01-31 09:05:00.123456+00`. Hours may lack the leading
    /// zero, as 1C writes them. Without a zone the text is taken as UTC. Finer than a millisecond is cut.
    public init?(_ text: some StringProtocol) {
        var scanner = DigitScanner(text.utf8)
        guard let year = scanner.number(4...4), scanner.skip("-"),
            let month = scanner.number(1...2), (1...12).contains(month), scanner.skip("-"),
            let day = scanner.number(1...2), (1...31).contains(day)
        else { return nil }
        var milliseconds = Self.days(year: year, month: month, day: day) * 86_400_000
        if scanner.skip("T") || scanner.skip(" ") || scanner.skip("t") {
            guard let hour = scanner.number(1...2), hour < 24, scanner.skip(":"),
                let minute = scanner.number(1...2), minute < 60
            else { return nil }
            milliseconds += hour * 3_600_000 + minute * 60_000
            if scanner.skip(":") {
                guard let second = scanner.number(1...2), second < 61 else { return nil }
                milliseconds += second * 1000
                if scanner.skip(".") {
                    guard let fraction = scanner.fraction(digits: 3) else { return nil }
                    milliseconds += fraction
                }
            }
            guard let offset = scanner.zoneMinutes() else { return nil }
            milliseconds -= offset * 60_000
        }
        guard scanner.atEnd else { return nil }
        self.init(milliseconds: milliseconds)
    }

    /// Days since 1970-01-01 of a proleptic Gregorian date (Howard Hinnant's algorithm).
    static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let y = month <= 2 ? year - 1 : year
        let era = y.floorDivided(by: 400)
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
            - 719_468
    }

    static func civil(days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let z = days + 719_468
        let era = z.floorDivided(by: 146_097)
        let doe = z - era * 146_097
        let yearOfEra = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365
        let dayOfYear = doe - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let mp = (5 * dayOfYear + 2) / 153
        let month = mp < 10 ? mp + 3 : mp - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * mp + 2) / 5 + 1)
    }
}

extension Timestamp: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let value = Timestamp(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "not an RFC 3339 time")
        }
        self = value
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

extension Int64 {
    func floorDivided(by divisor: Int64) -> Int64 {
        let quotient = self / divisor
        return self % divisor < 0 ? quotient - 1 : quotient
    }
}

func padded(_ number: Int64, _ width: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: Swift.max(0, width - text.count)) + text
}

/// Walks over the digits and separators of a date.
struct DigitScanner<Bytes: Collection> where Bytes.Element == UInt8 {
    private var rest: Bytes.SubSequence
    init(_ bytes: Bytes) { rest = bytes[...] }

    var atEnd: Bool { rest.isEmpty }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard rest.first == UInt8(ascii: character) else { return false }
        rest = rest.dropFirst()
        return true
    }

    mutating func number(_ digits: ClosedRange<Int>) -> Int64? {
        var value: Int64 = 0
        var count = 0
        while count < digits.upperBound, let byte = rest.first, (48...57).contains(byte) {
            value = value * 10 + Int64(byte - 48)
            count += 1
            rest = rest.dropFirst()
        }
        return count >= digits.lowerBound ? value : nil
    }

    /// The first `digits` digits of a fraction; further ones are skipped.
    mutating func fraction(digits: Int) -> Int64? {
        var value: Int64 = 0
        var count = 0
        while let byte = rest.first, (48...57).contains(byte) {
            if count < digits { value = value * 10 + Int64(byte - 48) }
            count += 1
            rest = rest.dropFirst()
        }
        guard count > 0 else { return nil }
        for _ in Swift.min(count, digits)..<digits { value *= 10 }
        return value
    }

    mutating func zoneMinutes() -> Int64? {
        if atEnd || skip("Z") || skip("z") { return 0 }
        let sign: Int64 = skip("+") ? 1 : skip("-") ? -1 : 0
        guard sign != 0, let hours = number(2...2) else { return nil }
        if atEnd { return sign * hours * 60 }
        _ = skip(":")
        guard let minutes = number(2...2) else { return nil }
        return sign * (hours * 60 + minutes)
    }
}
