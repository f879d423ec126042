import Contracts

/// What a kind of order is called in 1C.
enum OrderKind {
    private static let table = [
        "goods": "Заказ товара", "prepayment": "Предварительная оплата", "signing": "Подписание документов",
    ]

    static func words(_ kind: String) -> String { table[kind] ?? kind }

    /// A line of an order's comment, for a system that has no field for it; nil for an order of goods, which goes without saying.
    static func comment(_ kind: String) -> String? { kind == "goods" ? nil : "Вид заказа: \(words(kind))." }
}

extension OrderRequested {
    /// What stands in a document's comment, for there is no field for it: a line each.
    ///
    /// - Parameter saysKind: the system has no field for the kind of an order.
    func remarks(saysKind: Bool) -> [String] {
        [
            saysKind ? OrderKind.comment(kind) : nil, bookingId.map { "Бронь: \($0)." }, comment,
            address.map { "Адрес доставки: \($0)" },
        ].compactMap { $0 }
    }
}
