import Sodium

/// HTTP Basic credentials, as 1C sends them with every request.
enum Basic {
    static func encode(_ credentials: String) -> String { base64(Array(credentials.utf8)) }
}

extension String {
    /// What stands between each pair of marks.
    func components(between start: String, and end: String) -> [String] {
        var parts: [String] = []
        var rest = self[...]
        while let begin = String(rest).range(of: start) {
            let text = String(rest)
            let inner = text[begin.upperBound...]
            guard let close = String(inner).range(of: end) else { break }
            let body = String(inner)
            parts.append(String(body[..<close.lowerBound]))
            rest = body[close.upperBound...]
        }
        return parts
    }
}
