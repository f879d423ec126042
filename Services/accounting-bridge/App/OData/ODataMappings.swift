import FoundationEssentials
import ServiceKit
import Yams

/// The mappings that are built in, and those in files.
enum ODataMappings {
    private static let texts = [
        "ut11": PackageResources.ut11_yaml, "ut114": PackageResources.ut114_yaml, "unf": PackageResources.unf_yaml,
        "bp3": PackageResources.bp3_yaml,
    ]
    private static var names: String { texts.keys.sorted().joined(separator: ", ") }

    /// - Throws: ``WrongSettings`` when none is called so.
    static func builtIn(_ name: String) throws -> ODataMapping {
        guard let bytes = texts[name] else {
            throw WrongSettings(file: name, problems: ["there is no mapping «\(name)»: built in are \(names)"])
        }
        return try read(String(decoding: bytes, as: UTF8.self), named: name)
    }

    /// - Parameter name: of one that is built in, or of a file.
    /// - Throws: ``WrongSettings`` that says what is wrong with it.
    static func load(_ name: String) throws -> ODataMapping {
        if texts[name] != nil { return try builtIn(name) }
        guard let data = FileManager.default.contents(atPath: name) else {
            throw WrongSettings(
                file: name,
                problems: ["onec: there is no mapping «\(name)»: built in are \(names), and no such file is readable"])
        }
        return try read(String(decoding: data, as: UTF8.self), named: name)
    }

    /// Reads a mapping; whether a base has its names is for the base to say.
    static func read(_ text: String, named name: String) throws -> ODataMapping {
        let mapping: ODataMapping
        do { mapping = try YAMLDecoder().decode(ODataMapping.self, from: text) } catch {
            throw WrongSettings(file: name, problems: ["the mapping cannot be read: \(Self.reason(error))"])
        }
        let kinds = Set(mapping.documents.map(\.kind)).subtracting(FolderOrder.documentKinds)
        guard kinds.isEmpty else {
            throw WrongSettings(
                file: name,
                problems: [
                    "documents: kind is one of \(FolderOrder.documentKinds.joined(separator: ", ")), not \(kinds.sorted().joined(separator: ", "))"
                ])
        }
        let wrong = contradictions(mapping)
        guard wrong.isEmpty else { throw WrongSettings(file: name, problems: wrong) }
        return mapping
    }

    /// What would leave documents unread without a word.
    private static func contradictions(_ mapping: ODataMapping) -> [String] {
        var (wrong, before): ([String], [String: ODataMapping.Document]) = ([], [:])
        for document in mapping.documents {
            if let entity = document.through {
                if let other = before[entity] {
                    // It must be there to be asked.
                    if other.optional == true {
                        wrong.append("documents: \(document.entity) goes through \(entity), which is optional")
                    }
                } else {
                    wrong.append(
                        "documents: \(document.entity) goes through \(entity), which does not stand before it")
                }
            }
            if document.isSettled == true, mapping.settlements == nil {
                wrong.append("documents: \(document.entity) is settled, and settlements is missing")
            }
            before[document.entity] = document
        }
        let (order, lines) = (mapping.order, mapping.order.lines)
        let known: Set<String> = [
            order.counterparty, order.organization, order.currency, order.total, order.comment, order.ourNumber,
            mapping.counterparty.partner?.order,
        ].reduce(into: Set((order.set ?? [:]).keys)) { if let field = $1 { $0.insert(field) } }
        for (field, same) in order.repeats ?? [:] where !known.contains(same) {
            wrong.append("order.repeats: \(field) repeats \(same), which nothing is written to")
        }
        let written = [lines.good, lines.quantity, lines.price, lines.sum, lines.vat, lines.vatSum].compactMap { $0 }
        for (field, same) in lines.repeats ?? [:] where !written.contains(same) {
            wrong.append("order.lines.repeats: \(field) repeats \(same), which nothing is written to")
        }
        return wrong
    }

    private static func reason(_ error: any Error) -> String {
        switch error {
        case DecodingError.keyNotFound(let key, let context):
            "\((context.codingPath + [key]).map(\.stringValue).joined(separator: ".")) is missing"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context),
            DecodingError.dataCorrupted(let context):
            "\(context.codingPath.map(\.stringValue).joined(separator: ".")): \(context.debugDescription)"
        default: "\(error)"
        }
    }
}
