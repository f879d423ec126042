import Primitives

/// What one base tells of the documents of an order that was given to another: of those that it is authoritative for, and of those that are only
/// seen there. Nil is what it does not keep.
public struct BooksReported: EventContract {
    public static let type = "onec.books.reported.v1"
    public let orderId: ID
    public let number: String
    /// The base that tells, not the order's.
    public let base: String
    public let exchangeId: ID
    public let documents: [ReportedDocument]
    /// Each payment, and each shipment, comes as a document of its own.
    public let tellsPayments, tellsShipments: Bool?
    /// What the goods that were shipped and not returned have brought, and what they have cost.
    public let revenue, cost: Money?
    public let by: String?

    public init(
        orderId: ID, number: String, base: String, exchangeId: ID, documents: [ReportedDocument],
        tellsPayments: Bool? = nil, tellsShipments: Bool? = nil, revenue: Money? = nil, cost: Money? = nil,
        by: String? = nil
    ) {
        self.orderId = orderId
        self.number = number
        self.base = base
        self.exchangeId = exchangeId
        self.documents = documents
        self.tellsPayments = tellsPayments
        self.tellsShipments = tellsShipments
        self.revenue = revenue
        self.cost = cost
        self.by = by
    }
}
