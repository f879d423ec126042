import Primitives

/// A copy of a document of 1C's that belongs to an order.
public struct ReportedDocument: Codable, Sendable, Hashable {
    /// `payment`, `refund`, `shipment`, `return`, `invoice`.
    public let kind: String
    public let onecId: String
    public let number, date: String?
    public let amount: Money?
    public let posted, cancelled: Bool

    public init(
        kind: String, onecId: String, number: String?, date: String?, amount: Money?,
        posted: Bool, cancelled: Bool
    ) {
        self.kind = kind
        self.onecId = onecId
        self.number = number
        self.date = date
        self.amount = amount
        self.posted = posted
        self.cancelled = cancelled
    }
}
