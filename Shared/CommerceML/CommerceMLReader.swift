import XMLStream

/// Reads the documents of a CommerceML file one by one, wherever they stand: below the root, or in a Контейнер.
public final class CommerceMLReader: XMLReader.Handler {
    private var record = XMLRecordBuilder(limit: documentLimit)
    public private(set) var documents: [XMLElement] = []
    public private(set) var schemaVersion = ""
    private var sawRoot = false

    public init() {}

    /// Bytes of text in one document, and documents in one file, at most.
    public static let documentLimit = 4 * 1024 * 1024
    public static let countLimit = 10_000

    public func start(_ name: String, _ attributes: XMLAttributes) throws {
        if !sawRoot {
            sawRoot = true
            guard name == "КоммерческаяИнформация" else {
                throw XMLRefusal(
                    reason: "корень файла «\(name)», а ожидается «КоммерческаяИнформация»",
                    isIncomplete: false)
            }
            schemaVersion = attributes["ВерсияСхемы"] ?? ""
        }
        if record.isOpen || name == "Документ" {
            guard documents.count < Self.countLimit else {
                throw XMLRefusal(reason: "в файле больше \(Self.countLimit) документов", isIncomplete: false)
            }
            try record.start(name, attributes)
        }
    }

    public func text(_ text: UnsafeBufferPointer<UInt8>) throws { try record.text(text) }

    public func end(_ name: String) throws {
        if let document = record.end() { documents.append(document) }
    }
}

extension XMLElement {
    /// ЗначенияРеквизитов as names and values.
    public var requisites: [String: String] {
        var values: [String: String] = [:]
        for entry in first("ЗначенияРеквизитов")?.all("ЗначениеРеквизита") ?? [] {
            if let name = entry.value("Наименование") { values[name] = entry.value("Значение") ?? "" }
        }
        return values
    }
}
