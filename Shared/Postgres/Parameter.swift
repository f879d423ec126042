import Primitives

/// A value sent to the server. Numbers and texts go as text, bytes and arrays in binary form: no
/// escaping and no second copy of a body.
public struct Parameter: Sendable {
    let bytes: [UInt8]?
    let isBinary: Bool

    public static let null = Parameter(bytes: nil, isBinary: false)

    public static func text(_ value: String?) -> Parameter {
        Parameter(bytes: value.map { Array($0.utf8) }, isBinary: false)
    }
    public static func int(_ value: (some BinaryInteger)?) -> Parameter {
        .text(value.map { String($0) })
    }
    public static func double(_ value: Double?) -> Parameter { .text(value.map { String($0) }) }
    public static func bool(_ value: Bool?) -> Parameter { .text(value.map { $0 ? "t" : "f" }) }
    public static func id(_ value: ID?) -> Parameter { .text(value?.description) }
    public static func time(_ value: Timestamp?) -> Parameter { .text(value?.description) }
    public static func bytes(_ value: [UInt8]?) -> Parameter {
        Parameter(bytes: value, isBinary: true)
    }

    /// `text[]`; also fits `$1::uuid[]` and the like.
    public static func texts(_ values: [String?]) -> Parameter {
        array(oid: 25, values, length: { $0.utf8.count }, write: { $1.append(contentsOf: $0.utf8) })
    }
    /// `uuid[]`.
    public static func ids(_ values: [ID?]) -> Parameter {
        array(oid: 2950, values, length: { _ in 16 }, write: { $0.append(to: &$1) })
    }
    /// `timestamptz[]`: microseconds since 2000.
    public static func times(_ values: [Timestamp?]) -> Parameter {
        array(
            oid: 1184, values, length: { _ in 8 },
            write: { $1.append(bigEndian: ($0.milliseconds - 946_684_800_000) * 1000) })
    }
    /// `bigint[]`.
    public static func ints(_ values: [Int64?]) -> Parameter {
        array(oid: 20, values, length: { _ in 8 }, write: { $1.append(bigEndian: $0) })
    }
    /// `bytea[]`.
    public static func byteArrays(_ values: [[UInt8]?]) -> Parameter {
        array(oid: 17, values, length: \.count, write: { $1 += $0 })
    }

    /// PostgreSQL's binary array: dimensions, has-null flag, element type, length, lower bound, items.
    private static func array<Value>(
        oid: Int32, _ items: [Value?], length: (Value) -> Int, write: (Value, inout [UInt8]) -> Void
    ) -> Parameter {
        var out: [UInt8] = []
        out.reserveCapacity(items.reduce(20) { $0 + 4 + ($1.map(length) ?? 0) })
        let hasNull: Int32 = items.contains { $0 == nil } ? 1 : 0
        for word in [items.isEmpty ? 0 : 1, hasNull, oid] as [Int32] { out.append(bigEndian: word) }
        if !items.isEmpty {
            out.append(bigEndian: Int32(items.count))
            out.append(bigEndian: Int32(1))
        }
        for item in items {
            guard let item else {
                out.append(bigEndian: Int32(-1))
                continue
            }
            out.append(bigEndian: Int32(length(item)))
            write(item, &out)
        }
        return Parameter(bytes: out, isBinary: true)
    }
}

extension Array where Element == UInt8 {
    fileprivate mutating func append(bigEndian value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
    }
}
