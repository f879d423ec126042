import XMLStream

/// What a base says that it has ($metadata): of УТ 15 MB with 3,800 kinds of objects, of which a few are kept.
struct ODataMetadata: Sendable {
    /// Names of fields by kind of object, for those that were asked for.
    fileprivate(set) var fields: [String: Set<String>] = [:]
}

/// Reads $metadata as it streams by.
final class ODataMetadataReader: XMLReader.Handler {
    private let wanted: Set<String>
    private(set) var metadata = ODataMetadata()
    private var entity: String?
    private var sawRoot = false

    /// - Parameter wanted: names of the kinds whose fields are kept. A tabular section's are those of its row type, `…_RowType`, which is kept
    ///   under the section's name.
    init(_ wanted: Set<String>) { self.wanted = wanted }

    func start(_ name: String, _ attributes: XMLAttributes) throws {
        if !sawRoot {
            sawRoot = true
            guard name == "Edmx" else {
                throw XMLRefusal(reason: "корень описания «\(name)», а ожидается «Edmx»", isIncomplete: false)
            }
        }
        switch name {
        case "EntityType", "ComplexType":
            var type = attributes["Name"] ?? ""
            if type.hasSuffix("_RowType") { type.removeLast("_RowType".count) }
            entity = wanted.contains(type) ? type : nil
            if let entity { metadata.fields[entity, default: []].formUnion([]) }
        case "Property", "NavigationProperty":
            if let entity, let field = attributes["Name"] { metadata.fields[entity, default: []].insert(field) }
        default: break
        }
    }

    func text(_ text: UnsafeBufferPointer<UInt8>) throws {}

    func end(_ name: String) throws {
        if name == "EntityType" || name == "ComplexType" { entity = nil }
    }
}
