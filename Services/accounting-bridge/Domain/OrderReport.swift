import Contracts
import Primitives

/// What an accounting system says of one order, whatever language it speaks. Nil is what it did not say.
struct OrderReport: Sendable {
    /// The number that we gave the order; of one that was made there, the system's.
    var number: String
    /// The order was made there, and may be new to us.
    var born: BornOrder?
    /// The system's own id and number of it.
    var onecId, onecNumber: String?
    var total: Money?
    /// What the goods that were shipped and not returned have brought, and what they have cost.
    var revenue, cost: Money?
    var posted: Bool?
    var cancelled = false
    var statusText: String?
    var paidFlag, shippedFlag: Bool?
    /// Each payment comes as a document of its own.
    var tellsPayments = false
    /// The same of shipments; nil: as of payments.
    var tellsShipments: Bool?
    /// All documents of the order stand in it: one that is missing is gone.
    var isWhole = false
    /// The system was asked for all documents: what it does not tell now it cannot tell.
    var isAsked = false
    var documents: [ReportedDocument] = []
    /// The last day of payment that is named.
    var dueDate: String?
    var flags: [ReportedFlag] = []
    /// The client's card there.
    var client: ClientCard?
    /// Documents of kinds that concern no money or goods, by their words.
    var passedOver: [String] = []
    /// It does not take the order, and why.
    var rejection: String?
    /// Why documents that should count do not.
    var refused: [String] = []
}

extension OrderReport {
    /// Bytes of a number, ours or the system's, at most.
    static let numberLimit = 100
    /// Bytes of the system's own id of an order at most.
    static let idLimit = 100

    /// A sum as accounting systems write it: a point or a comma, two to four places, perhaps with blanks between thousands.
    static func money(_ text: String?, _ currency: Currency) -> Money? {
        guard let text else { return nil }
        let plain = String(text.compactMap { $0 == "," ? "." : $0.isWhitespace ? nil : $0 })
        return Money(plain, currency)
    }

    /// `true`, `1`, `да`, `истина`, in any case.
    static func isTrue(_ text: String?) -> Bool {
        guard let text else { return false }
        return ["true", "1", "да", "истина"].contains(text.lowercased())
    }

    /// The day of `2021-02-18T9:49:02`.
    /// Nil also for 1C's empty date, 0001-01-01.
    static func day(_ text: String?) -> String? {
        text.flatMap { Timestamp($0)?.day }.flatMap { $0 > "0001-01-02" ? $0 : nil }
    }
}
