import XMLStream

/// Reads the documents of a CommerceML file one by one, wherever they stand: below the root, or in a Контейнер.
public final class CommerceMLReader: XMLReader.Handler {
    private var record = XMLRecordBuilder(limit: documentLimit)
    public private(set) var documents: [XMLElement] = []
    public private(set) var schemaVersion = ""
    /// Why documents of the file are left out: one that is too large keeps none of the others away.
    public private(set) var refused: [String] = []
    private var sawRoot = false
    /// Elements that are open in the document, and in one that is left out.
    private var (depth, skipped) = (0, 0)

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
        if skipped > 0 {
            skipped += 1
        } else if record.isOpen || name == "Документ" {
            guard documents.count + refused.count < Self.countLimit else {
                throw XMLRefusal(reason: "в файле больше \(Self.countLimit) документов", isIncomplete: false)
            }
            depth += 1
            keep { try record.start(name, attributes) }
        }
    }

    public func text(_ text: UnsafeBufferPointer<UInt8>) throws {
        if skipped == 0 { keep { try record.text(text) } }
    }

    public func end(_ name: String) throws {
        guard skipped == 0 else {
            skipped -= 1
            return
        }
        if record.isOpen { depth -= 1 }
        if let document = record.end() { documents.append(document) }
    }

    private func keep(_ piece: () throws -> Void) {
        do { try piece() } catch {
            refused.append((error as? XMLRefusal)?.reason ?? "\(error)")
            (depth, skipped) = (0, depth)
            record = XMLRecordBuilder(limit: Self.documentLimit)
        }
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
