import Contracts

/// Which objects an answer of SelectChanges speaks of (reference b.19): every key that stands in it, whether as a field, a reference or an address.
enum ODataChanges {
    /// Keys of one answer at most: the orders of more are read in their own time.
    static let limit = 100_000

    /// Keys, as 1C writes them.
    static func keys(_ answer: RawJSON) -> Set<String> {
        var keys: Set<String> = []
        func look(_ value: RawJSON) {
            guard keys.count < limit else { return }
            switch value {
            case .string(let text): if let key = key(text) { keys.insert(key) }
            case .array(let values): values.forEach(look)
            case .object(let fields): fields.values.forEach(look)
            case .null, .bool, .int, .double: break
            }
        }
        look(answer["value"] ?? .null)
        return keys
    }

    /// `0198…`, or what an address has of it: `…/Document_X(guid'0198…')`.
    private static func key(_ text: String) -> String? {
        guard text.utf8.count >= 36 else { return nil }
        let key = text.split(separator: "guid'").dropFirst().first.map { String($0.prefix(36)) } ?? text
        let isKey =
            key.utf8.count == 36 && key.wholeMatch(of: /[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}/) != nil
        return isKey ? key.lowercased() : nil
    }
}
