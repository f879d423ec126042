import Contracts
import Postgres
import Primitives
import ServiceKit

/// An order as the API shows it, with what is known and what is not.
struct OrderView: AnswerShape {
    struct DocumentView: AnswerShape {
        let base, kind, onecId: String
        let number, date: String?
        let amount: Money?
        let posted, cancelled: Bool
        /// False: another base is authoritative for documents of this kind.
        let counts: Bool
        /// Opens it where it is kept.
        let link: String?
        let asOf: Timestamp
        let exchangeId: ID?
    }
    struct Flag: AnswerShape {
        let department: String
        let done: Bool
        let by: String?
        let at: Timestamp?
    }
    /// A cancellation or a revision that was asked for: `asked`, then `taken` or `refused`.
    struct Change: AnswerShape {
        let id: ID
        let kind, state: String
        let reason: String?
        let by: String
        let at: Timestamp
        let answeredAt: Timestamp?
    }
    /// The order's invoice, and each state it was in.
    struct Invoice: AnswerShape {
        struct Step: AnswerShape {
            let state: String
            /// `manager`, `onec`, `bank`, or `clock` when a day has passed.
            let source: String
            let by: String
            let note: String?
            let at: Timestamp
        }
        let state: String
        /// As 1C numbers it, where it tells invoices.
        let number: String?
        var history: [Step] = []
        /// What people have said of it and not taken back, also where money or a day has the last word on its state.
        var said: [Said] = []
        struct Said: AnswerShape {
            let state: String
            let by: String
            let note: String?
            let at: Timestamp
        }
        var isOpen: Bool { InvoiceState(rawValue: state)?.isOpen == true }
    }
    let id: ID
    let number, kind, origin, organization, base: String
    let onecNumber, bookingId: String?
    let dealId, journeyId: ID?
    let status: String
    let failure: String?
    let payment, shipment: String
    let paymentUnknown, shipmentUnknown: String?
    let askedTotal: Money
    let total, paid, refunded, shipped, returned, owed: Money?
    /// What the books' register of sales says, or what was shipped and not returned; what that has cost; and what is left of it.
    let revenue, cost, margin: Money?
    let totalUnknown, paidUnknown, refundedUnknown, shippedUnknown, returnedUnknown, owedUnknown, marginUnknown: String?
    let dueDate, dueDateUnknown: String?
    /// The day of payment is over, and something is still owed.
    let overdue: Bool
    var flags: [Flag] = []
    var changes: [Change] = []
    let invoice: Invoice
    let documents: [DocumentView]
    let lines: [OrderLine]
    let asOf: Timestamp?
    let createdAt: Timestamp
    let isSettled: Bool
    let tellsPayments: Bool?

    /// The margin in per cent of the revenue; nil without any.
    var marginShare: Double? {
        guard let margin, let revenue, revenue.minor > 0 else { return nil }
        return 100 * Double(margin.minor) / Double(revenue.minor)
    }

    /// The line that it stands in. One that was made in 1C stands where a person has put it, whatever 1C's word was said to before it knew.
    ///
    /// - Parameter told: the line of the event that this answers.
    func line(_ told: ID?) -> ID? { origin == "onec" ? journeyId : told }

    static let hidden: Set = ["isSettled", "tellsPayments"]

    /// What the order has become, as an event.
    ///
    /// - Parameter by: whose word it is.
    func changed(_ deal: Deal?, by teller: Teller) -> OrderChanged {
        OrderChanged(
            orderId: id, number: number, dealId: dealId, status: status, payment: payment, shipment: shipment,
            onecNumber: onecNumber, total: total, paid: paid, owed: owed, dueDate: dueDate,
            invoice: invoice.state, origin: origin, slice: deal?.slice ?? Slice(organization: organization),
            by: teller.words)
    }
}
