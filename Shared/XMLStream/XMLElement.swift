/// A small tree of one record (a Документ, a Товар …); never of a whole file.
public final class XMLElement {
    public let name: String
    public let attributes: XMLAttributes
    /// Without white space at both ends.
    public fileprivate(set) var text = ""
    public private(set) var children: [XMLElement] = []

    init(_ name: String, _ attributes: XMLAttributes) { (self.name, self.attributes) = (name, attributes) }

    fileprivate func add(_ child: XMLElement) { children.append(child) }
    public func first(_ name: String) -> XMLElement? { children.first { isSameName($0.name, name) } }
    public func all(_ name: String) -> [XMLElement] { children.filter { isSameName($0.name, name) } }

    /// The text of a child; nil when it is absent or empty.
    public func value(_ name: String) -> String? {
        guard let text = first(name)?.text, !text.isEmpty else { return nil }
        return text
    }

    /// The first element of this name anywhere inside, in the order of the document.
    public func anywhere(_ name: String) -> XMLElement? {
        for child in children {
            if isSameName(child.name, name) { return child }
            if let found = child.anywhere(name) { return found }
        }
        return nil
    }

    /// Its names and texts as XML again. Attributes are left out.
    public var xml: String {
        "<\(name)>\(XMLText.escape(text))\(children.map(\.xml).joined())</\(name)>"
    }
}

/// Builds the tree of one record out of what a reader is told.
public struct XMLRecordBuilder {
    /// Bytes of text in one record at most.
    public let limit: Int
    private var open: [XMLElement] = []
    private var bytes: [UInt8] = []
    /// Bytes of its text and attributes, and a fixed cost for each element: many empty ones weigh too.
    public private(set) var size = 0
    private static let elementCost = 64

    public init(limit: Int) { self.limit = limit }

    public var isOpen: Bool { !open.isEmpty }

    /// An element begins: the record's own, or one within it.
    public mutating func start(_ name: String, _ attributes: XMLAttributes) throws {
        if open.isEmpty { size = 0 } else { keepText() }
        try weigh(Self.elementCost + attributes.byteCount, name)
        let element = XMLElement(name, attributes)
        open.last?.add(element)
        open.append(element)
    }

    /// Text outside of a record is nobody's.
    public mutating func text(_ text: UnsafeBufferPointer<UInt8>) throws {
        guard isOpen else { return }
        try weigh(text.count, open[0].name)
        bytes.append(contentsOf: text)
    }

    private mutating func weigh(_ bytes: Int, _ name: String) throws {
        size += bytes
        guard size <= limit else {
            throw XMLRefusal(reason: "запись «\(open.first?.name ?? name)» больше \(limit) байт", isIncomplete: false)
        }
    }

    /// The record, when it is its end.
    public mutating func end() -> XMLElement? {
        guard isOpen else { return nil }
        keepText()
        let closed = open.removeLast()
        return open.isEmpty ? closed : nil
    }

    /// Line breaks and blanks between elements are no text.
    private mutating func keepText() {
        defer { bytes.removeAll(keepingCapacity: true) }
        guard let first = bytes.firstIndex(where: { $0 > 0x20 }), let last = bytes.lastIndex(where: { $0 > 0x20 })
        else {
            return
        }
        open[open.count - 1].text += String(decoding: bytes[first...last], as: UTF8.self)
    }
}

extension XMLElement {
    /// The one record that a text holds.
    public static func read(_ xml: String, limit: Int) throws -> XMLElement {
        final class Handler: XMLReader.Handler {
            var record: XMLRecordBuilder
            var whole: XMLElement?
            init(_ limit: Int) { record = XMLRecordBuilder(limit: limit) }
            func start(_ name: String, _ attributes: XMLAttributes) throws { try record.start(name, attributes) }
            func text(_ text: UnsafeBufferPointer<UInt8>) throws { try record.text(text) }
            func end(_ name: String) { if let whole = record.end() { self.whole = whole } }
        }
        let handler = Handler(limit)
        try XMLReader(handler).read(Array(xml.utf8))
        guard let whole = handler.whole else { throw XMLRefusal(reason: "запись пуста", isIncomplete: false) }
        return whole
    }
}

/// Text as it stands in XML.
public enum XMLText {
    /// Also leaves out the characters that XML 1.0 forbids.
    public static func escape(_ text: String) -> String {
        var out = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": out += "&amp;"
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            case "\"": out += "&quot;"
            case "\t", "\n", "\r": out.unicodeScalars.append(scalar)
            case _ where scalar.value < 0x20 || scalar.value == 0xFFFE || scalar.value == 0xFFFF: break
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out
    }
}
