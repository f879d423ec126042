internal import CXML2
import Glibc

/// Why an outside XML document was not taken, in words a person understands.
public struct XMLRefusal: Error, CustomStringConvertible, Sendable {
    public let reason: String
    /// The document is right so far and ends too early: more may come.
    public let isIncomplete: Bool
    public var description: String { reason }

    public init(reason: String, isIncomplete: Bool) {
        self.reason = reason
        self.isIncomplete = isIncomplete
    }
}

/// The few attributes of an element, by their local names.
public struct XMLAttributes: Sendable {
    fileprivate var pairs: [(name: String, value: String)] = []

    public init() {}
    /// Bytes of names and values.
    public var byteCount: Int { pairs.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count } }
    public subscript(name: String) -> String? { pairs.first { isSameName($0.name, name) }?.value }
}

/// Names are the same by their bytes: comparing Cyrillic texts as Unicode wants them compared costs ten times as much.
public func isSameName(_ left: String, _ right: String) -> Bool {
    let count = left.utf8.count
    guard count == right.utf8.count else { return false }
    let same = left.utf8.withContiguousStorageIfAvailable { left in
        right.utf8.withContiguousStorageIfAvailable { right in
            guard let left = left.baseAddress, let right = right.baseAddress else { return true }
            return memcmp(left, right, count) == 0
        }
    }
    return (same ?? nil) ?? left.utf8.elementsEqual(right.utf8)
}

/// Reads XML in pieces through libxml2's SAX2 push parser; never a whole tree. Every encoding that the document
/// declares and iconv knows is read (UTF-8, windows-1251). A DOCTYPE is refused: no entities, so no bombs.
public final class XMLReader {
    public protocol Handler: AnyObject {
        /// Names are local: 1C's configurations differ in namespaces.
        func start(_ name: String, _ attributes: XMLAttributes) throws
        /// UTF-8, valid during the call only: most text lies between elements, and nobody wants it as a `String`.
        func text(_ text: UnsafeBufferPointer<UInt8>) throws
        func end(_ name: String) throws
    }

    /// Open elements at most.
    public static let depthLimit = 100

    private let handler: any Handler
    private var parser: xmlParserCtxtPtr?
    private var depth = 0
    private var refusal: (any Error)?
    private var closedRoot = false
    /// Names that have been met, by where libxml2 keeps them: it keeps each name once as long as the parser lives.
    private var names: [UnsafePointer<xmlChar>: String] = [:]

    public init(_ handler: any Handler) {
        self.handler = handler
        var sax = xmlSAXHandler()
        throughline_sax_table(&sax)
        sax.startElementNs = onStart
        sax.endElementNs = onEnd
        sax.characters = onText
        sax.cdataBlock = onText
        sax.internalSubset = onDoctype
        parser = xmlCreatePushParserCtxt(&sax, nil, nil, 0, nil)
        parser?.pointee.userData = Unmanaged.passUnretained(self).toOpaque()
        // No network, no entity replacement; NOBLANKS does not matter to a SAX reader.
        xmlCtxtUseOptions(
            parser, Int32(XML_PARSE_NONET.rawValue | XML_PARSE_NOERROR.rawValue | XML_PARSE_NOWARNING.rawValue))
        parser?.pointee.userData = Unmanaged.passUnretained(self).toOpaque()
    }

    deinit { xmlFreeParserCtxt(parser) }

    /// Takes the next bytes of the document.
    public func feed(_ bytes: [UInt8]) throws { try parse(bytes, end: false) }

    /// Takes a whole document, a part at a time: what a part holds is let go before the next.
    public func read(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            try feed(Array(rest.prefix(1 << 20)))
            rest = rest.dropFirst(1 << 20)
        }
        try finish()
    }

    /// The document is at its end.
    public func finish() throws { try parse([], end: true) }

    private func parse(_ bytes: [UInt8], end: Bool) throws {
        // The last task may have run on another thread.
        throughline_quieten()
        let result = bytes.withUnsafeBytes { memory in
            xmlParseChunk(
                parser, memory.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(memory.count),
                end ? 1 : 0)
        }
        if let refusal { throw refusal }
        guard result != 0 else { return }
        // What was right as far as it went, and wrong only because it ended, may go on.
        throw XMLRefusal(reason: words(), isIncomplete: end && !closedRoot)
    }

    private func words() -> String {
        guard let error = xmlCtxtGetLastError(parser) else { return "это не XML" }
        let message = error.pointee.message.map { String(cString: $0) } ?? "ошибка"
        return "XML не читается, строка \(error.pointee.line): "
            + String(message.prefix { !$0.isNewline })
    }

    private func stop(_ error: any Error) {
        if refusal == nil { refusal = error }
        xmlStopParser(parser)
    }

    fileprivate func started(_ name: String, _ attributes: XMLAttributes) {
        guard refusal == nil else { return }
        depth += 1
        guard depth <= Self.depthLimit else {
            return stop(
                XMLRefusal(
                    reason: "XML вложен глубже \(Self.depthLimit) уровней", isIncomplete: false))
        }
        do { try handler.start(name, attributes) } catch { stop(error) }
    }

    fileprivate func name(_ place: UnsafePointer<xmlChar>?) -> String {
        guard let place else { return "" }
        if let known = names[place] { return known }
        let name = String(cString: place)
        if names.count < Self.nameLimit { names[place] = name }
        return name
    }

    /// Different names that are remembered at most: a hostile file may make up as many as it likes.
    private static let nameLimit = 10_000

    fileprivate func read(_ text: UnsafeBufferPointer<UInt8>) {
        guard refusal == nil else { return }
        do { try handler.text(text) } catch { stop(error) }
    }

    fileprivate func ended(_ name: String) {
        guard refusal == nil else { return }
        depth -= 1
        if depth == 0 { closedRoot = true }
        do { try handler.end(name) } catch { stop(error) }
    }

    fileprivate func doctype() {
        stop(XMLRefusal(reason: "XML с DOCTYPE не принимается", isIncomplete: false))
    }
}

private func reader(_ context: UnsafeMutableRawPointer?) -> XMLReader? {
    context.map { Unmanaged<XMLReader>.fromOpaque($0).takeUnretainedValue() }
}

private let onStart: startElementNsSAX2Func = {
    context, name, _, _, _, _, attributeCount, _, attributes in
    guard let reader = reader(context) else { return }
    var read = XMLAttributes()
    if let attributes, attributeCount > 0 {
        // Five pointers an attribute: local name, prefix, URI, value's begin and end.
        for index in 0..<Int(attributeCount) {
            let entry = attributes + index * 5
            guard let begin = entry[3], let end = entry[4] else { continue }
            let value = String(decoding: UnsafeBufferPointer(start: begin, count: end - begin), as: UTF8.self)
            read.pairs.append((reader.name(entry[0]), value))
        }
    }
    reader.started(reader.name(name), read)
}

private let onEnd: endElementNsSAX2Func = { context, name, _, _ in
    guard let reader = reader(context) else { return }
    reader.ended(reader.name(name))
}

private let onText: charactersSAXFunc = { context, text, length in
    guard let text else { return }
    reader(context)?.read(UnsafeBufferPointer(start: text, count: Int(length)))
}

private let onDoctype: internalSubsetSAXFunc = { context, _, _, _ in reader(context)?.doctype() }
