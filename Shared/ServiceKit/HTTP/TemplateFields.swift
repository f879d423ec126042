/// A template's fields without the empty texts, at every depth: in a Mustache section an empty text counts as something.
public func filled(_ fields: [String: Any]) -> [String: Any] {
    fields.compactMapValues { value in
        switch value {
        case let text as String: text.isEmpty ? nil : text
        case let inner as [String: Any]: filled(inner)
        case let list as [[String: Any]]: list.map { filled($0) }
        default: value
        }
    }
}
