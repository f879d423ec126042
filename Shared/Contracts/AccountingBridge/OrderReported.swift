import Primitives

/// An order's state as 1C told it. Nil is what this base did not tell.
public struct OrderReported: EventContract {
    public static let type = "onec.order.reported.v1"
    public let orderId: ID
    public let number: String
    public let base: String
    public let exchangeId: ID
    public let onecId: String?
    public let onecNumber: String?
    public let posted: Bool?
    public let cancelled: Bool?
    public let statusText: String?
    public let total: Money?
    public let paidFlag: Bool?
    public let shippedFlag: Bool?
    /// Each payment comes as a document of its own; nil where another base keeps them.
    public let tellsPayments: Bool?
    /// The same of shipments; nil in what was said before it was known apart, too.
    public let tellsShipments: Bool?
    public let documents: [ReportedDocument]
    /// The day by which all of it is to be paid.
    public let dueDate: String?
    /// What the goods that were shipped and not returned have brought, by the register of sales, and what they have cost.
    public let revenue, cost: Money?
    /// Marks of departments; nil when it tells none.
    public let flags: [ReportedFlag]?
    public let by: String?

    public init(
        orderId: ID, number: String, base: String, exchangeId: ID, onecId: String? = nil,
        onecNumber: String? = nil, posted: Bool? = nil, cancelled: Bool? = nil,
        statusText: String? = nil, total: Money? = nil, paidFlag: Bool? = nil,
        shippedFlag: Bool? = nil, tellsPayments: Bool?, tellsShipments: Bool? = nil, documents: [ReportedDocument],
        dueDate: String? = nil, revenue: Money? = nil, cost: Money? = nil, flags: [ReportedFlag]? = nil,
        by: String? = nil
    ) {
        self.orderId = orderId
        self.number = number
        self.base = base
        self.exchangeId = exchangeId
        self.onecId = onecId
        self.onecNumber = onecNumber
        self.posted = posted
        self.cancelled = cancelled
        self.statusText = statusText
        self.total = total
        self.paidFlag = paidFlag
        self.shippedFlag = shippedFlag
        self.tellsPayments = tellsPayments
        self.tellsShipments = tellsShipments
        self.documents = documents
        self.dueDate = dueDate
        self.revenue = revenue
        self.cost = cost
        self.flags = flags
        self.by = by
    }
}
