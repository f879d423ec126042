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
    public var description: String {
        func hex(_ value: UInt64, _ digits: Int) -> String {
            let text = String(value, radix: 16)
            return String(repeating: "0", count: digits - text.count) + text
        }
        return [
            hex(high >> 32, 8), hex(high >> 16 & 0xffff, 4), hex(high & 0xffff, 4),
            hex(low >> 48, 4), hex(low & 0xffff_ffff_ffff, 12),
        ].joined(separator: "-")
    }

    /// Reads the 36-character form in either case.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == 36 else { return nil }
        var words: [UInt64] = [0, 0]
        var digit = 0
        for (index, byte) in bytes.enumerated() {
            if [8, 13, 18, 23].contains(index) {
                guard byte == UInt8(ascii: "-") else { return nil }
                continue
            }
            guard let value = Character(Unicode.Scalar(byte)).hexDigitValue else { return nil }
            words[digit / 16] = words[digit / 16] << 4 | UInt64(value)
            digit += 1
        }
        self.init(high: words[0], low: words[1])
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
