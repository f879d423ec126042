import Primitives

/// What is known of an order has changed: 1C said something.
public struct OrderChanged: EventContract {
    public static let type = "crm.order.changed.v1"
    public let orderId: ID
    public let number: String
    public let dealId: ID?
    public let status: String
    public let payment: String
    public let shipment: String
    public let onecNumber: String?
    public let total: Money?
    public let paid: Money?
    public let owed: Money?
    public let dueDate: String?
    /// `requested`, `issued`, `sent`, `agreed`, `partly`, `overdue`, `paid`, `cancelled`.
    public let invoice: String?
    /// `crm`, or `onec` when it was made in 1C; nil in what was said before there were such.
    public let origin: String?
    public let slice: Slice
    public let by: String?

    public init(
        orderId: ID, number: String, dealId: ID? = nil, status: String, payment: String,
        shipment: String, onecNumber: String? = nil, total: Money? = nil, paid: Money? = nil,
        owed: Money? = nil, dueDate: String? = nil, invoice: String? = nil, origin: String? = nil, slice: Slice,
        by: String? = nil
    ) {
        self.orderId = orderId
        self.number = number
        self.dealId = dealId
        self.status = status
        self.payment = payment
        self.shipment = shipment
        self.onecNumber = onecNumber
        self.total = total
        self.paid = paid
        self.owed = owed
        self.dueDate = dueDate
        self.invoice = invoice
        self.origin = origin
        self.slice = slice
        self.by = by
    }
}
