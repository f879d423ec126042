import Synchronization

/// A 128-bit identifier, written as a lower-case UUID. Ours are version 7: they sort by the time
/// of their making, and within one process strictly so.
public struct ID: Hashable, Sendable {
    let high: UInt64
    let low: UInt64

    init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Makes a new UUIDv7 (RFC 9562, 6.2 method 1: a 12-bit counter below the millisecond).
    public static func make() -> ID {
        let random = UInt64.random(in: .min ... .max)
        let stamp = clock.withLock { clock -> UInt64 in
            let now = UInt64(Timestamp.now().milliseconds) << 12
            // The counter borrows from the millisecond when it runs over: order is kept.
            clock = now > clock ? now : clock + 1
            return clock
        }
        let high = (stamp >> 12) << 16 | 0x7000 | (stamp & 0xfff)
        return ID(high: high, low: (random & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000)
    }

    private static let clock = Mutex<UInt64>(0)

    /// The id that `name` always has below `namespace`: the same words give the same id, so that
    /// work done twice is recognised. (Version 8: the hash is the caller's.)
    public init(digest: some Collection<UInt8>) {
        precondition(digest.count >= 16, "an id needs 16 bytes of digest")
        let words = digest.prefix(16).reduce(into: (UInt64(0), UInt64(0), 0)) { words, byte in
            if words.2 < 8 {
                words.0 = words.0 << 8 | UInt64(byte)
            } else {
                words.1 = words.1 << 8 | UInt64(byte)
            }
            words.2 += 1
        }
        high = words.0 & 0xffff_ffff_ffff_0fff | 0x8000
        low = words.1 & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000
    }
}

extension ID: CustomStringConvertible, LosslessStringConvertible {
    public var description: String { String(decoding: text, as: UTF8.self) }

    /// The 36 characters as ASCII.
    public var text: [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 36) { out, count in
            write(into: UnsafeMutableBufferPointer(rebasing: out[..<36]))
            count = 36
        }
    }

    /// Appends the 36 characters.
    public func appendText(to out: inout [UInt8]) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 36) { buffer in
            write(into: buffer)
            out.append(contentsOf: buffer)
        }
    }

    /// Appends the 32 hexadecimal digits without dashes, or only the last `count` of them.
    public func appendDigits(last count: Int = 32, to out: inout [UInt8]) {
        for index in (32 - count)..<32 { out.append(Self.digit(index < 16 ? high : low, index & 15)) }
    }

    /// The hexadecimal digit at `index` of a word's sixteen.
    private static func digit(_ word: UInt64, _ index: Int) -> UInt8 {
        let digit = UInt8(truncatingIfNeeded: word &>> UInt64(60 &- index &* 4) & 15)
        return digit < 10 ? 48 &+ digit : 87 &+ digit
    }

    private func write(into out: UnsafeMutableBufferPointer<UInt8>) {
        var place = 0
        func put(_ word: UInt64, _ from: Int, _ to: Int) {
            for index in from..<to {
                out.initializeElement(at: place, to: Self.digit(word, index))
                place += 1
            }
        }
        func dash() {
            out.initializeElement(at: place, to: UInt8(ascii: "-"))
            place += 1
        }
        put(high, 0, 8)
        dash()
        put(high, 8, 12)
        dash()
        put(high, 12, 16)
        dash()
        put(low, 0, 4)
        dash()
        put(low, 4, 16)
    }

    /// Reads the 36-character form in either case.
    public init?(_ text: String) {
        var text = text
        guard let id = text.withUTF8({ ID(utf8: $0) }) else { return nil }
        self = id
    }

    public init?(utf8 bytes: UnsafeBufferPointer<UInt8>) {
        guard bytes.count == 36 else { return nil }
        var (high, low, digits) = (UInt64(0), UInt64(0), 0)
        for index in 0..<36 {
            let byte = bytes[index]
            if index == 8 || index == 13 || index == 18 || index == 23 {
                guard byte == UInt8(ascii: "-") else { return nil }
                continue
            }
            let value: UInt8
            switch byte {
            case 48...57: value = byte - 48
            case 97...102: value = byte - 87
            case 65...70: value = byte - 55
            default: return nil
            }
            if digits < 16 { high = high << 4 | UInt64(value) } else { low = low << 4 | UInt64(value) }
            digits += 1
        }
        self.init(high: high, low: low)
    }

    /// The 16 bytes, big-endian, as PostgreSQL's binary uuid.
    public var bytes: [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 16) { out, count in
            for index in 0..<8 {
                out[index] = UInt8(truncatingIfNeeded: high >> UInt64(56 - index * 8))
                out[index + 8] = UInt8(truncatingIfNeeded: low >> UInt64(56 - index * 8))
            }
            count = 16
        }
    }

    /// Nil when they are not 16.
    public init?(bytes: [UInt8]) {
        guard bytes.count == 16 else { return nil }
        self.init(
            high: bytes[..<8].reduce(0) { $0 << 8 | UInt64($1) }, low: bytes[8...].reduce(0) { $0 << 8 | UInt64($1) })
    }

    /// Appends ``bytes``.
    public func append(to out: inout [UInt8]) {
        withUnsafeBytes(of: high.bigEndian) { out.append(contentsOf: $0) }
        withUnsafeBytes(of: low.bigEndian) { out.append(contentsOf: $0) }
    }
}

extension ID: Comparable {
    public static func < (left: ID, right: ID) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }
}

extension ID: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let value = ID(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a UUID")
        }
        self = value
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
