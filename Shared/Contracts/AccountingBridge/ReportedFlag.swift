import Primitives

/// A department's mark on an order in 1C: done, or not (any more).
public struct ReportedFlag: Codable, Sendable, Hashable {
    public let department: String
    public let done: Bool
    /// Who set it, and the day or moment, as 1C tells them.
    public let by: String?
    public let at: Timestamp?

    public init(department: String, done: Bool, by: String? = nil, at: Timestamp? = nil) {
        self.department = department
        self.done = done
        self.by = by
        self.at = at
    }
}
