import Contracts
import Glibc
import Primitives

/// The attributes of an event, written to bytes and read from them without a general JSON machine: every event passes here twice,
/// and its `data` is looked at only by the handler that wants it.
///
/// CloudEvents 1.0, structured mode; keys in alphabetical order, absent ones left out.
struct Envelope {
    var id: ID
    var source: String
    var type: String
    var subject: String?
    var key: String
    var time: Timestamp
    var correlation: ID?
    var causation: ID?

    // MARK: writing

    /// - Parameter data: JSON of the event's own fields.
    func bytes(data: some Collection<UInt8>) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(data.count + 512)
        func put(_ text: StaticString) { text.withUTF8Buffer { out.append(contentsOf: $0) } }
        put("{")
        if let causation {
            put("\"causationid\":\"")
            causation.appendText(to: &out)
            put("\",")
        }
        if let correlation {
            put("\"correlationid\":\"")
            correlation.appendText(to: &out)
            put("\",")
        }
        put("\"data\":")
        out.append(contentsOf: data)
        put(",\"datacontenttype\":\"application/json\",\"dataschema\":\"urn:throughline:")
        Self.escape(type, &out)
        put("\",\"id\":\"")
        id.appendText(to: &out)
        put("\",\"partitionkey\":\"")
        Self.escape(key, &out)
        put("\",\"source\":\"/")
        Self.escape(source, &out)
        put("\",\"specversion\":\"1.0\",\"subject\":\"")
        Self.escape(subject ?? key, &out)
        put("\",\"time\":\"")
        time.appendText(to: &out)
        // One trace per journey (W3C Trace Context): the journey's id is the trace, the event's the span.
        put("\",\"traceparent\":\"00-")
        (correlation ?? id).appendDigits(to: &out)
        put("-")
        id.appendDigits(last: 16, to: &out)
        put("-01\",\"type\":\"")
        Self.escape(type, &out)
        put("\"}")
        return out
    }

    private static func escape(_ text: String, _ out: inout [UInt8]) {
        var text = text
        let isPlain = text.withUTF8 { bytes in
            guard !bytes.contains(where: { $0 < 32 || $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") }) else {
                return false
            }
            out.append(contentsOf: bytes)
            return true
        }
        if isPlain { return }
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): out += [UInt8(ascii: "\\"), byte]
            case 0..<32:
                let digits = Array("0123456789abcdef".utf8)
                out += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            default: out.append(byte)
            }
        }
    }

    // MARK: reading

    /// Nil when the bytes are no object with an event's attributes. Also where its `data` lies.
    static func read(_ bytes: [UInt8]) -> (Envelope, data: Range<Int>)? {
        bytes.withUnsafeBufferPointer { buffer -> (Envelope, data: Range<Int>)? in
            var scanner = ObjectScanner(bytes: buffer)
            var fields = Fields()
            guard scanner.open() else { return nil }
            while let (key, value) = scanner.member() {
                guard let field = Field(UnsafeBufferPointer(rebasing: buffer[key])) else { continue }
                guard fields[field] == nil else { return nil }
                fields[field] = value
            }
            guard scanner.isComplete else { return nil }
            func text(_ field: Field) -> String? { fields[field].flatMap { string(buffer, $0) } }
            func id(_ field: Field) -> ID? { fields[field].flatMap { identifier(buffer, $0) } }
            guard let data = fields[.data], let id = id(.id), let source = text(.source), let type = text(.type),
                let key = text(.partitionkey), let time = fields[.time].flatMap({ moment(buffer, $0) })
            else { return nil }
            // What is given must be an id; `null` counts as not given.
            for field in [Field.correlationid, .causationid] {
                if let range = fields[field], identifier(buffer, range) == nil,
                    buffer[range.lowerBound] != UInt8(ascii: "n")
                {
                    return nil
                }
            }
            return (
                Envelope(
                    id: id, source: String(source.drop { $0 == "/" }), type: type, subject: text(.subject), key: key,
                    time: time, correlation: identified(fields, .correlationid, buffer),
                    causation: identified(fields, .causationid, buffer)), data
            )
        }
    }

    private enum Field: Int {
        case id, source, type, subject, partitionkey, time, correlationid, causationid, data

        /// By its length first: the names of one length are at most three.
        init?(_ key: UnsafeBufferPointer<UInt8>) {
            func named(_ name: StaticString) -> Bool {
                key.baseAddress.map { memcmp(name.utf8Start, $0, key.count) == 0 } ?? false
            }
            switch key.count {
            case 2 where named("id"): self = .id
            case 4 where named("data"): self = .data
            case 4 where named("time"): self = .time
            case 4 where named("type"): self = .type
            case 6 where named("source"): self = .source
            case 7 where named("subject"): self = .subject
            case 11 where named("causationid"): self = .causationid
            case 12 where named("partitionkey"): self = .partitionkey
            case 13 where named("correlationid"): self = .correlationid
            default: return nil
            }
        }
    }

    /// Where the value of each attribute lies.
    private struct Fields {
        private var ranges = InlineArray<9, Range<Int>?>(repeating: nil)
        subscript(field: Field) -> Range<Int>? {
            get { ranges[field.rawValue] }
            set { ranges[field.rawValue] = newValue }
        }
    }

    private static func identified(
        _ fields: Fields, _ field: Field, _ buffer: UnsafeBufferPointer<UInt8>
    ) -> ID? { fields[field].flatMap { identifier(buffer, $0) } }

    private static func identifier(_ buffer: UnsafeBufferPointer<UInt8>, _ value: Range<Int>) -> ID? {
        guard value.count == 38, buffer[value.lowerBound] == UInt8(ascii: "\"") else { return nil }
        return ID(utf8: UnsafeBufferPointer(rebasing: buffer[value.dropFirst().dropLast()]))
    }

    private static func moment(_ buffer: UnsafeBufferPointer<UInt8>, _ value: Range<Int>) -> Timestamp? {
        guard value.count > 2, buffer[value.lowerBound] == UInt8(ascii: "\"") else { return nil }
        let inner = UnsafeBufferPointer(rebasing: buffer[value.dropFirst().dropLast()])
        return Timestamp(canonical: inner) ?? string(buffer, value).flatMap { Timestamp($0) }
    }

    private static func string(_ buffer: UnsafeBufferPointer<UInt8>, _ value: Range<Int>) -> String? {
        guard value.count >= 2, buffer[value.lowerBound] == UInt8(ascii: "\"") else { return nil }
        let inner = buffer[value.dropFirst().dropLast()]
        guard inner.contains(UInt8(ascii: "\\")) else { return String(validating: inner, as: UTF8.self) }
        // U+0000 is legal JSON and no text of PostgreSQL's: such an event is set aside as it came.
        return (try? JSON.decode(String.self, from: buffer[value])).flatMap { $0.utf8.contains(0) ? nil : $0 }
    }
}

/// Finds the members of a JSON object and where their values lie; what is inside a value is only skipped.
private struct ObjectScanner {
    let bytes: UnsafeBufferPointer<UInt8>
    private var at = 0
    private(set) var isComplete = false
    private var isFirst = true

    /// Nesting that is still skipped; deeper is no event of ours.
    static let depthLimit = 512

    init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    mutating func open() -> Bool {
        skipSpace()
        return take(UInt8(ascii: "{"))
    }

    /// The next member: its key without quotes, its value as it stands. Nil at the end, or when it cannot be read.
    mutating func member() -> (key: Range<Int>, value: Range<Int>)? {
        skipSpace()
        if take(UInt8(ascii: "}")) {
            skipSpace()
            isComplete = at == bytes.count
            return nil
        }
        guard isFirst || take(UInt8(ascii: ",")) else { return nil }
        isFirst = false
        skipSpace()
        guard let key = skipString() else { return nil }
        skipSpace()
        guard take(UInt8(ascii: ":")) else { return nil }
        skipSpace()
        let start = at
        guard skipValue() else { return nil }
        return (key.lowerBound + 1..<key.upperBound - 1, start..<at)
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard at < bytes.count, bytes[at] == byte else { return false }
        at += 1
        return true
    }

    private mutating func skipSpace() {
        while at < bytes.count, Self.isSpace(bytes[at]) { at += 1 }
    }

    /// With its quotes.
    private mutating func skipString() -> Range<Int>? {
        let start = at
        guard take(UInt8(ascii: "\"")) else { return nil }
        while at < bytes.count {
            switch bytes[at] {
            case UInt8(ascii: "\""):
                at += 1
                return start..<at
            case UInt8(ascii: "\\"): at += 2
            case 0..<32: return nil
            default: at += 1
            }
        }
        return nil
    }

    private mutating func skipValue() -> Bool {
        guard at < bytes.count else { return false }
        switch bytes[at] {
        case UInt8(ascii: "\""): return skipString() != nil
        case UInt8(ascii: "{"), UInt8(ascii: "["): return skipNested()
        default:
            let start = at
            while at < bytes.count, !Self.endsScalar(bytes[at]) { at += 1 }
            return at > start
        }
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 }

    private static func endsScalar(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: ",") || byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]") || isSpace(byte)
    }

    private mutating func skipNested() -> Bool {
        var depth = 0
        while at < bytes.count {
            switch bytes[at] {
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                guard depth <= Self.depthLimit else { return false }
                at += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth -= 1
                at += 1
                if depth == 0 { return true }
            case UInt8(ascii: "\""): if skipString() == nil { return false }
            default: at += 1
            }
        }
        return false
    }
}
