extension String {
    /// PostgreSQL's text cannot hold U+0000, which is legal in JSON; the raw body keeps it.
    public var withoutNUL: String { contains("\0") ? String(filter { $0 != "\0" }) : self }

    /// Without white space at both ends.
    public var trimmed: String {
        let start = drop { $0.isWhitespace }
        return String(start.reversed().drop { $0.isWhitespace }.reversed())
    }
}
