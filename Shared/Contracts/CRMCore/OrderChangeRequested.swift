import Primitives

/// Somebody wants an order that was asked of 1C to be cancelled, or to be another one.
public struct OrderChangeRequested: EventContract {
    public static let type = "crm.order.change_requested.v1"
    public let changeId: ID
    public let orderId: ID
    public let number: String
    public let base: String
    /// `cancel`, `revision`.
    public let kind: String
    /// Of a revision: all of the order's lines as they are to be, and their total.
    public let lines: [OrderLine]?
    public let total: Money?
    public let comment: String?
    public let by: String?

    public init(
        changeId: ID, orderId: ID, number: String, base: String, kind: String, lines: [OrderLine]? = nil,
        total: Money? = nil, comment: String? = nil, by: String? = nil
    ) {
        self.changeId = changeId
        self.orderId = orderId
        self.number = number
        self.base = base
        self.kind = kind
        self.lines = lines
        self.total = total
        self.comment = comment
        self.by = by
    }
}
