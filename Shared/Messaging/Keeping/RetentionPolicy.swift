/// How long a service's own log and its copies of others' are kept. Whole days are dropped, never rows.
public struct RetentionPolicy: Sendable {
    /// Days that are kept. Older ones go, unless a registered subscriber has not taken them yet: then they are held and alarmed.
    public var days = 90
    /// MiB that the log may take. Beyond it the oldest days go, also below a subscriber: alarmed and recorded, and the
    /// subscriber finds an explicit HOLE.
    public var megabytes = 50_000

    public init() {}
    public init(days: Int, megabytes: Int) {
        self.days = days
        self.megabytes = megabytes
    }
}
