/// What an order's invoice is, by what is known of the order and what people have done with it (PAY-06). 1C numbers and posts it; a manager sends it and
/// hears that the client agrees; money pays it, as 1C or the bank tells.
enum InvoiceState: String, Sendable, CaseIterable {
    /// Asked of 1C.
    case requested
    /// 1C has it.
    case issued
    case sent, agreed
    case partly
    /// Its day of payment is over, and something is still owed.
    case overdue
    case paid, cancelled

    /// What people say of an invoice.
    enum Mark: String, Sendable, CaseIterable { case sent, agreed }

    /// - Parameters:
    ///   - status: the order's; it is `accepted` when 1C has it.
    ///   - payment: `none`, `partly`, `full`, `over`, `unknown`.
    init(status: String, isIssued: Bool, payment: String, isOverdue: Bool, marks: Set<Mark>) {
        self =
            switch payment {
            case _ where status == "cancelled": .cancelled
            case "full", "over": .paid
            // 1C does not have it.
            case _ where status == "failed": .requested
            case _ where isOverdue: .overdue
            case "partly": .partly
            case _ where marks.contains(.agreed): .agreed
            case _ where marks.contains(.sent): .sent
            default: isIssued || status == "accepted" || status == "closed" ? .issued : .requested
            }
    }

    /// Whether a person can still say something of it: 1C has it, and it is neither paid nor cancelled.
    var isOpen: Bool { [.issued, .sent, .agreed, .partly, .overdue].contains(self) }
}

/// Whose word changes an order.
enum Teller: Sendable {
    case onec(base: String)
    case bank
    case person(String)
    /// A day has passed.
    case clock
    /// Nobody knows any more: the order is older than the history of its invoice.
    case before

    /// `onec`, `bank`, `manager`, `clock`, `before`: as the API says it.
    var source: String {
        switch self {
        case .onec: "onec"
        case .bank: "bank"
        case .person: "manager"
        case .clock: "clock"
        case .before: "before"
        }
    }

    var words: String {
        switch self {
        case .onec(let base): "1С \(base)"
        case .bank: "выписка банка"
        case .person(let name): name
        case .clock: "срок платежа"
        case .before: "до начала истории"
        }
    }
}
