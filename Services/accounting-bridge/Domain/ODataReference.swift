/// A reference to another object, as OData writes it.
enum ODataReference {
    /// 1C fills a reference to nothing with zeros.
    static func isNone(_ key: String) -> Bool { key.allSatisfy { $0 == "0" || $0 == "-" } }
}
