extension String {
    /// PostgreSQL's text cannot hold U+0000, which is legal in JSON; the raw body keeps it.
    public var withoutNUL: String { contains("\0") ? String(filter { $0 != "\0" }) : self }

    /// Nil when it is empty.
    public var nonEmpty: String? { isEmpty ? nil : self }

    /// Without white space at both ends.
    public var trimmed: String {
        guard first?.isWhitespace == true || last?.isWhitespace == true else { return self }
        guard let start = firstIndex(where: { !$0.isWhitespace }), let end = lastIndex(where: { !$0.isWhitespace })
        else {
            return ""
        }
        return String(self[start...end])
    }
}
