import Contracts
import Primitives
import ServiceKit

/// What goods cost a client, as the accounting system reckons it by its own prices and discounts. Nothing of it is reckoned here but a line's sum.
struct QuotedPrices: Sendable {
    struct Line: AnswerShape {
        let sku: String
        let quantity: Quantity
        /// For one, after all discounts; nil with its reason where the system has none.
        let price: Quantity?
        let priceUnknown: String?
        /// For one, before discounts, where the system says it.
        let listPrice: Quantity?
        /// In per cent, and what it is called there.
        let discountPercent: Quantity?
        let discountName: String?
        let vat, unit: String?
        /// Quantity times price.
        let sum: Money?
    }
    /// The next step of the system's scale of discounts.
    struct NextDiscount: AnswerShape {
        let percent: Quantity
        /// What is still to be bought until then.
        let remaining: Money
    }
    let lines: [Line]
    let total: Money?
    let nextDiscount: NextDiscount?

    /// Lines of a question at most.
    static let lineLimit = 200

    /// Reads an answer to a question about these goods.
    ///
    /// - Throws: ``DriverFailure/refused(_:)`` that names the line.
    init(_ answer: InquiryAnswer, for asked: [(sku: String, quantity: Quantity)], in currency: Currency) throws {
        let fields = try answer.fields()
        guard case .array(let items)? = fields["lines"], items.count == asked.count else {
            throw DriverFailure.refused(
                "в ответе должен быть список lines, строк столько же, сколько в вопросе: \(asked.count)")
        }
        lines = try zip(items, asked).enumerated().map { index, pair in
            let line = try InquiryFields(pair.0, "строка \(index + 1)")
            let sku = try line.demanded("sku", limit: 100)
            // An answer in another order than the question would give one good another's price.
            guard sku == pair.1.sku else {
                throw DriverFailure.refused(
                    "строка \(index + 1): ответ об артикуле «\(sku)», а спрошен «\(pair.1.sku)»")
            }
            let price = try line.quantity("price")
            let refused = try line.text("refused", limit: 500)
            guard price != nil || refused != nil else {
                throw DriverFailure.refused("строка \(index + 1): нет ни цены (price), ни причины (refused)")
            }
            guard let sum = price.map({ pair.1.quantity.times(price: $0, in: currency) }) ?? .some(.zero(currency))
            else {
                throw DriverFailure.refused("строка \(index + 1): сумма слишком велика")
            }
            return Line(
                sku: sku, quantity: pair.1.quantity, price: refused == nil ? price : nil, priceUnknown: refused,
                listPrice: try line.quantity("listPrice"), discountPercent: try line.quantity("discountPercent"),
                discountName: try line.text("discountName"), vat: try line.text("vat", limit: 20),
                unit: try line.text("unit", limit: 50), sum: refused == nil && price != nil ? sum : nil)
        }
        let isWhole = lines.allSatisfy { $0.sum != nil }
        total = isWhole ? lines.reduce(.zero(currency)) { $0 + ($1.sum ?? .zero(currency)) } : nil
        nextDiscount = try fields["nextDiscount"].flatMap { $0 == .null ? nil : $0 }.map { raw in
            let next = try InquiryFields(raw, "nextDiscount")
            guard let percent = try next.quantity("percent"), let remaining = try next.money("remaining", currency)
            else {
                throw DriverFailure.refused("nextDiscount: нужны percent и remaining")
            }
            return NextDiscount(percent: percent, remaining: remaining)
        }
    }
}
