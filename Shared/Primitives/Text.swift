extension String {
    /// PostgreSQL's text cannot hold U+0000, which is legal in JSON; the raw body keeps it.
    public var withoutNUL: String { contains("\0") ? String(filter { $0 != "\0" }) : self }
}
