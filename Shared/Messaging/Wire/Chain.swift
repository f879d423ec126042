import Primitives
import Sodium

/// A link of the hash chain over a stream: 16 bytes.
///
/// link_i = first 16 bytes of SHA-256(link_{i-1} ‖ seq_i ‖ SHA-256(body_i)), seq as 8 bytes big-endian;
/// link_0 is sixteen zero bytes. Hashing the digest lets an erased body leave its digest behind.
public struct Link: Hashable, Sendable, CustomStringConvertible {
    public let bytes: [UInt8]

    public static let zero = Link(unchecked: [UInt8](repeating: 0, count: 16))

    public init?(_ bytes: [UInt8]) {
        guard bytes.count == 16 else { return nil }
        self.bytes = bytes
    }

    private init(unchecked bytes: [UInt8]) { self.bytes = bytes }

    public func next(seq: Int64, digest: [UInt8]) -> Link {
        let number = withUnsafeBytes(of: seq.bigEndian) { Array($0) }
        return Link(unchecked: Array(sha256(bytes + number + digest).prefix(16)))
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
