import Primitives

/// What is known of an order's money and goods, from documents first, from 1C's flags as hints, and unknown where
/// the base cannot tell. A value: rows in, words out.
struct OrderState: Sendable, Equatable {
    struct Document: Sendable {
        let kind: String
        let amount: Money?
        let counts: Bool
        /// A bank's statement tells it, not the books.
        var isBanked = false
    }

    let currency: Currency
    /// 1C's total when it said one, else what was asked.
    let total: Money
    let tellsPayments: Bool?
    /// Each shipment comes as a document too, or nothing has been reported yet. No bank tells of goods.
    let tellsShipments: Bool
    let paidFlag, shippedFlag: Bool?
    let paid, refunded, shipped, returned: Money
    /// УНФ tells of shipments without their sums: goods left, how much of the order cannot be seen.
    let isShippedUnpriced: Bool
    /// Something came back, and how much of it was this order's no document says: of a shipment for several orders, or told without a sum.
    let isReturnedUnpriced: Bool
    /// A bank's statement tells payments that the base cannot.
    private let isBanked: Bool

    init(
        total: Money, tellsPayments: Bool?, tellsShipments: Bool? = nil, paidFlag: Bool?, shippedFlag: Bool?,
        documents: [Document]
    ) {
        currency = total.currency
        self.total = total
        self.tellsPayments = tellsPayments
        // Of one base for all it is the same.
        isShippedUnpriced = documents.contains { $0.kind == "shipment" && $0.counts && $0.amount == nil }
        isReturnedUnpriced = documents.contains { $0.kind == "return" && $0.counts && $0.amount == nil }
        self.tellsShipments = (tellsShipments ?? tellsPayments ?? true) && !isShippedUnpriced
        self.paidFlag = paidFlag
        self.shippedFlag = shippedFlag
        // Where the books tell each payment the bank's word for the same money is not added to it.
        let counting = documents.filter {
            $0.counts && !($0.isBanked && tellsPayments == true) && $0.amount?.currency == total.currency
        }
        isBanked = counting.contains { $0.isBanked }
        func sum(_ kind: String) -> Money {
            counting.filter { $0.kind == kind }
                .reduce(Money.zero(total.currency)) { $0 + ($1.amount ?? .zero(total.currency)) }
        }
        paid = sum("payment")
        refunded = sum("refund")
        shipped = sum("shipment")
        returned = sum("return")
    }

    /// Sums are known when each payment comes as a document, from the books or from the bank, or nothing has been reported
    /// yet. Books that say «paid» where the bank does not show all of it know of money that no statement holds.
    var knowsSums: Bool {
        tellsPayments ?? true || isBanked && (paidFlag != true || (paid - refunded).minor >= total.minor)
    }
    static let cannotTell =
        "эта база 1С не сообщает отдельные оплаты: видно только полную оплату, без сумм"

    static let unpricedShipments = "1С сообщает об отгрузке этого заказа без суммы"
    static let unpricedReturns =
        "сколько из возвращённого приходится на этот заказ, 1С не говорит: возврат бывает и по нескольким заказам сразу"

    var revenue: Money { shipped - returned }
    var owed: Money { total - paid + refunded }

    var payment: String {
        guard knowsSums else { return paidFlag == true ? "full" : "unknown" }
        let kept = paid - refunded
        if kept.minor <= 0 { return total.minor == 0 ? "full" : "none" }
        if kept.minor < total.minor { return "partly" }
        return kept.minor == total.minor ? "full" : "over"
    }

    var shipment: String {
        guard !isReturnedUnpriced else { return "unknown" }
        let kept = shipped - returned
        if kept.minor >= total.minor, total.minor > 0 { return "full" }
        if shippedFlag == true { return "full" }
        if kept.minor > 0 { return "partly" }
        return tellsShipments ? "none" : "unknown"
    }

    /// Nothing more is expected of money or goods.
    var isSettled: Bool { ["full", "over"].contains(payment) && shipment == "full" }
}
