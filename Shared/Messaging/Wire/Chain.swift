import Primitives
import Sodium

/// A link of the hash chain over a stream: 16 bytes.
///
/// link_i = first 16 bytes of SHA-256(link_{i-1} ‖ seq_i ‖ SHA-256(body_i)), seq as 8 bytes big-endian;
/// link_0 is sixteen zero bytes. Hashing the digest lets an erased body leave its digest behind.
public struct Link: Hashable, Sendable, CustomStringConvertible {
    /// Two words and no array: each event in memory has one.
    private let high, low: UInt64

    public static let zero = Link(high: 0, low: 0)

    public init?(_ bytes: [UInt8]) {
        guard bytes.count == 16 else { return nil }
        self.init(start: bytes)
    }

    private init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// The first 16 of the bytes.
    private init(start bytes: [UInt8]) {
        (high, low) = bytes.withUnsafeBytes {
            (
                UInt64(bigEndian: $0.loadUnaligned(as: UInt64.self)),
                UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            )
        }
    }

    public var bytes: [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(16)
        append(to: &out)
        return out
    }

    private func append(to out: inout [UInt8]) {
        for word in [high, low] { withUnsafeBytes(of: word.bigEndian) { out.append(contentsOf: $0) } }
    }

    public func next(seq: Int64, digest: [UInt8]) -> Link {
        var input: [UInt8] = []
        input.reserveCapacity(24 + digest.count)
        append(to: &input)
        withUnsafeBytes(of: seq.bigEndian) { input.append(contentsOf: $0) }
        input += digest
        return Link(start: sha256(input))
    }

    func next(seq: Int64, body: [UInt8]) -> Link { next(seq: seq, digest: sha256(body)) }

    public var description: String { hex(bytes) }
}

extension Link: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let link = Link(unhex(try container.decode(String.self)) ?? []) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "a chain link has 32 hexadecimal digits")
        }
        self = link
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
