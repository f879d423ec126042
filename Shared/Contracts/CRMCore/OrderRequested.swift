import Primitives

/// An order is asked of 1C.
public struct OrderRequested: EventContract {
    public static let type = "crm.order.requested.v1"
    public let orderId: ID
    /// Digits only: 1C finds the order by it.
    public let number: String
    public let kind: String
    public let base: String
    public let organization: String
    public let dealId: ID
    public let currency: Currency
    public let total: Money
    public let lines: [OrderLine]
    public let counterparty: Counterparty
    /// The contract it falls under, as the caller names it.
    public let contractId: String?
    public let address: String?
    public let comment: String?
    /// The booking that it is for, as the booking's own system names it: receipts are asked for by it.
    public let bookingId: String?
    public let slice: Slice
    public let by: String?

    public init(
        orderId: ID, number: String, kind: String, base: String, organization: String,
        dealId: ID, currency: Currency, total: Money, lines: [OrderLine],
        counterparty: Counterparty, contractId: String? = nil, address: String? = nil,
        comment: String? = nil, bookingId: String? = nil, slice: Slice, by: String? = nil
    ) {
        self.orderId = orderId
        self.number = number
        self.kind = kind
        self.base = base
        self.organization = organization
        self.dealId = dealId
        self.currency = currency
        self.total = total
        self.lines = lines
        self.counterparty = counterparty
        self.contractId = contractId
        self.address = address
        self.comment = comment
        self.bookingId = bookingId
        self.slice = slice
        self.by = by
    }
}
