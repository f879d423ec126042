import FoundationEssentials

/// The one way we write and read JSON: sorted keys, plain slashes; nesting deeper than 512 is refused by
/// the decoder.
public enum JSON {
    public static func encode(_ value: some Encodable) throws -> Data {
        try encoder.encode(value)
    }

    // Made once: every event passes here, and neither keeps anything of what it has done.
    private static let encoder: JSONEncoder = {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return encoder
    }()
    private static let decoder = JSONDecoder()

    public static func text(_ value: some Encodable) throws -> String {
        String(decoding: try encode(value), as: UTF8.self)
    }

    public static func decode<Value: Decodable>(
        _ type: Value.Type, from bytes: some Sequence<UInt8>
    ) throws -> Value {
        try decoder.decode(type, from: Data(bytes))
    }
}
