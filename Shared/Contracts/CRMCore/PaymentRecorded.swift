import Primitives

/// Money as 1C's documents tell it. The same document again with other values replaces what it said.
public struct PaymentRecorded: EventContract {
    public static let type = "crm.payment.recorded.v1"
    /// base and 1C id: the fact's identity.
    public let documentKey: String
    /// `payment` or `refund`.
    public let kind: String
    public let orderId: ID
    public let orderNumber: String
    public let dealId: ID?
    public let responsibleId: ID?
    public let amount: Money
    /// The document's date, `2026-01-31`.
    public let date: String
    /// Posted and not cancelled.
    public let counted: Bool
    public let documentNumber: String?
    public let slice: Slice
    public let by: String?

    /// A document's share in one order: the same payment may stand for several.
    public static func key(base: String, kind: String, onecId: String, order: String) -> String {
        "\(base)/\(kind)/\(onecId)/\(order)"
    }

    public init(
        documentKey: String, kind: String, orderId: ID, orderNumber: String, dealId: ID? = nil,
        responsibleId: ID? = nil, amount: Money, date: String, counted: Bool,
        documentNumber: String? = nil, slice: Slice, by: String? = nil
    ) {
        self.documentKey = documentKey
        self.kind = kind
        self.orderId = orderId
        self.orderNumber = orderNumber
        self.dealId = dealId
        self.responsibleId = responsibleId
        self.amount = amount
        self.date = date
        self.counted = counted
        self.documentNumber = documentNumber
        self.slice = slice
        self.by = by
    }
}
