import Primitives

/// What a payment from a bank's statement is to one order: matched to it, or no longer so. The same pair of payment and order
/// again replaces what was said of it.
public struct BankPaymentAllocated: EventContract {
    public static let type = "onec.bank_payment.allocated.v1"
    public let paymentId: ID
    public let orderId: ID
    public let orderNumber: String
    /// `payment`, or `refund` for money that went out.
    public let kind: String
    /// The share of this order.
    public let amount: Money
    /// The day that the money moved, `2026-01-31`.
    public let date: String
    /// The number of the bank's document.
    public let number: String?
    public let payer: String?
    public let purpose: String
    /// False: the match was taken back, or the document vanished from the bank's later statement.
    public let stands: Bool
    /// `told`, `number`, `sum`, `only_order` or `person`.
    public let rule: String
    /// The exchange that the statement came in.
    public let exchangeId: ID
    public let by: String?

    public init(
        paymentId: ID, orderId: ID, orderNumber: String, kind: String, amount: Money, date: String,
        number: String? = nil, payer: String? = nil, purpose: String, stands: Bool, rule: String, exchangeId: ID,
        by: String? = nil
    ) {
        self.paymentId = paymentId
        self.orderId = orderId
        self.orderNumber = orderNumber
        self.kind = kind
        self.amount = amount
        self.date = date
        self.number = number
        self.payer = payer
        self.purpose = purpose
        self.stands = stands
        self.rule = rule
        self.exchangeId = exchangeId
        self.by = by
    }
}
