import Primitives
import ServiceKit

/// A receipt of the cash register as the accounting system tells it.
struct Receipt: AnswerShape {
    let id, base: String
    /// `sale` or `return`.
    let kind: String
    /// Its number, of which shift.
    let number, shift: String?
    var at: Timestamp
    /// `at` was said without a zone: it is on the base's clock, and stands here as if that were UTC's.
    let isOnBaseClock: Bool
    let amount: Money
    /// How it was paid, in the system's words.
    let method: String?
    /// What the tax service knows it by: the fiscal drive, the document's number in it and its sign.
    let fiscalDrive, fiscalDocument, fiscalSign: String?
    let bookingId, orderNumber: String?

    static let hidden: Set = ["isOnBaseClock"]

    /// Receipts of an answer at most.
    static let limit = 100

    /// - Parameter asked: what was asked for: a receipt of anything else is none of this answer.
    /// - Throws: ``DriverFailure/refused(_:)`` that names the receipt.
    static func list(
        _ answer: InquiryAnswer, base: String, asked: (booking: String?, orders: Set<String>), in fallback: Currency
    ) throws -> [Receipt] {
        guard case .array(let items)? = try answer.fields()["receipts"] else {
            throw DriverFailure.refused("в ответе нет списка receipts")
        }
        guard items.count <= limit else { throw DriverFailure.refused("в ответе больше \(limit) чеков") }
        return try items.enumerated().map { index, raw in
            let receipt = try InquiryFields(raw, "чек \(index + 1)")
            let kind = try receipt.text("kind") ?? "sale"
            guard ["sale", "return"].contains(kind) else {
                throw DriverFailure.refused("\(receipt.place): kind — sale или return, а не «\(kind)»")
            }
            let word = try receipt.text("currency")
            guard let currency = word.map({ Currency(onec: $0) }) ?? .some(fallback) else {
                throw DriverFailure.refused("\(receipt.place): валюта «\(word ?? "")» неизвестна")
            }
            guard let amount = try receipt.money("amount", currency) else {
                throw DriverFailure.refused("\(receipt.place): нет суммы (amount)")
            }
            let moment = try receipt.demanded("at")
            guard let at = Timestamp(moment) else {
                throw DriverFailure.refused("\(receipt.place): время «\(moment)» (at) не читается")
            }
            let own = (booking: try receipt.text("bookingId"), order: try receipt.text("orderNumber"))
            guard own.booking != nil && own.booking == asked.booking || own.order.map(asked.orders.contains) == true
            else {
                throw DriverFailure.refused("\(receipt.place): он не о той брони и не о том заказе, о которых спрошено")
            }
            return Receipt(
                id: try receipt.demanded("id", limit: 100), base: base, kind: kind, number: try receipt.text("number"),
                shift: try receipt.text("shift"), at: at,
                isOnBaseClock: moment.wholeMatch(of: /.*T.*(Z|[+-]\d\d:?\d\d)/) == nil, amount: amount,
                method: try receipt.text("method"),
                fiscalDrive: try receipt.text("fiscalDrive"), fiscalDocument: try receipt.text("fiscalDocument"),
                fiscalSign: try receipt.text("fiscalSign"), bookingId: own.booking, orderNumber: own.order)
        }
    }
}
