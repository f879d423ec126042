import CommerceML
import Contracts
import Primitives
import XMLStream

/// What one Документ of 1C's says of an order (reference a.7, facts 46–57).
struct OrderReportReader {
    let number: String
    let onecId: String?
    let currency: Currency?
    let total: Money?
    let requisites: [String: String]
    let documents: [ReportedDocument]
    let hasSubordinates: Bool
    /// The last day of payment that the order, or a bill for it, names (СрокПлатежа).
    let dueDate: String?
    /// The client, as the base's own card names him (reference a.8).
    let client: ClientCard?
    /// Subordinate documents of kinds that concern no money or goods, by their words.
    let passedOver: [String]
    /// Why subordinate documents that should count do not.
    let refused: [String]
    /// The document as an order of 1C's own, when it cannot be one of ours.
    let born: BornOrder?

    init(_ element: XMLElement, schema: String, fallback: Currency) throws {
        guard let number = element.value("Номер") else {
            throw XMLRefusal(reason: "у документа нет номера", isIncomplete: false)
        }
        guard number.utf8.count <= OrderReport.numberLimit, (element.requisites["Номер по 1С"]?.utf8.count ?? 0) <= 200
        else {
            throw XMLRefusal(reason: "номер документа длиннее \(OrderReport.numberLimit) байт", isIncomplete: false)
        }
        self.number = number
        onecId = element.value("Ид")
        let word = element.value("Валюта")
        let currency = word.flatMap { Currency(onec: $0) } ?? fallback
        if let word, Currency(onec: word) == nil {
            throw XMLRefusal(reason: "валюта «\(word)» неизвестна", isIncomplete: false)
        }
        self.currency = currency
        total = OrderReport.money(element.value("Сумма"), currency)
        requisites = element.requisites
        let parties = element.first("Контрагенты")?.all("Контрагент") ?? []
        let buyer =
            parties.first { $0.value("Роль") == "Покупатель" }
            ?? (parties.count == 1 && parties[0].value("Роль") == nil ? parties[0] : nil)
        client = ClientCard(
            onecId: buyer?.value("Ид"), name: buyer?.value("Наименование"),
            fullName: buyer?.value("ОфициальноеНаименование") ?? buyer?.value("ПолноеНаименование"),
            inn: buyer?.value("ИНН"),
            kpp: buyer?.value("КПП"))
        born = Self.born(element, number, currency, client, seller: parties.first { $0.value("Роль") == "Продавец" })
        let subordinate = element.first("ПодчиненныеДокументы")?.all("ПодчиненныйДокумент") ?? []
        var (documents, passedOver, refused): ([ReportedDocument], [String], [String]) = ([], [], [])
        for one in subordinate {
            do {
                if let document = try Self.document(one, currency) {
                    documents.append(document)
                } else {
                    passedOver.append(one.value("ХозОперация") ?? "без ХозОперации")
                }
            } catch let refusal as XMLRefusal { refused.append(refusal.reason) }
        }
        (self.documents, self.passedOver, self.refused) = (documents, passedOver, refused)
        // The order's own word, and its bills'; УНФ writes into each payment the day of the payment itself.
        let bills = subordinate.filter { Self.kinds[$0.value("ХозОперация")?.lowercased() ?? ""] == "invoice" }
        dueDate = ([element] + bills).compactMap { OrderReport.day($0.value("СрокПлатежа")) }.max()
        hasSubordinates =
            !subordinate.isEmpty || schema == "2.10"
            || element.first("ПодчиненныеДокументы") != nil
    }

    private static func born(
        _ element: XMLElement, _ number: String, _ currency: Currency, _ client: ClientCard?, seller: XMLElement?
    ) -> BornOrder? {
        // Bills and shipments stand beside orders in some files: those are no orders.
        guard element.value("ХозОперация")?.lowercased() == "заказ товара", BornOrder.isOne(number),
            let key = element.value("Ид"), key.utf8.count <= OrderReport.idLimit,
            let total = OrderReport.money(element.value("Сумма"), currency)
        else { return nil }
        let lines = (element.first("Товары")?.all("Товар") ?? []).prefix(BornOrder.lineLimit).compactMap {
            line($0, currency)
        }
        return BornOrder(
            key: key, number: number, day: OrderReport.day(element.value("Дата")), total: total, client: client,
            organization: seller?.value("ИНН"), lines: lines)
    }

    /// A line as 1C tells it; nil when it is not to be read.
    private static func line(_ element: XMLElement, _ currency: Currency) -> OrderLine? {
        guard let name = element.value("Наименование"),
            let quantity = Quantity(onec: element.value("Количество")),
            let price = Quantity(onec: element.value("ЦенаЗаЕдиницу")),
            let sum = OrderReport.money(element.value("Сумма"), currency)
        else { return nil }
        return BornOrder.line(
            sku: element.value("Артикул"), name: name, quantity: quantity, price: price,
            unit: element.value("Единица") ?? element.value("БазоваяЕдиница"), sum: sum)
    }

    /// What each `ХозОперация` is to us.
    private static let kinds = [
        "выплата наличных денег": "payment", "выплата безналичных денег": "payment",
        "эквайринговая операция": "payment",
        "возврат наличных денег": "refund", "возврат безналичных денег": "refund", "отпуск товара": "shipment",
        "возврат товара": "return", "счет на оплату": "invoice", "счёт на оплату": "invoice",
    ]

    /// - Returns: nil for a kind that concerns no money or goods.
    /// - Throws: `XMLRefusal` when it should count and cannot be understood.
    private static func document(_ element: XMLElement, _ parent: Currency) throws -> ReportedDocument? {
        let operation = element.value("ХозОперация") ?? ""
        guard var kind = kinds[operation.lowercased()] else { return nil }
        func refusal(_ why: String) -> XMLRefusal {
            XMLRefusal(reason: "подчинённый документ «\(operation)»: \(why)", isIncomplete: false)
        }
        guard let id = element.value("Ид") else { throw refusal("нет Ид") }
        let word = element.value("Валюта")
        guard let currency = word.map({ Currency(onec: $0) }) ?? parent else {
            throw refusal("валюта «\(word ?? "")» неизвестна")
        }
        let values = element.requisites
        let sum = element.value("Сумма")
        var amount = OrderReport.money(sum, currency)
        if let sum, amount == nil { throw refusal("сумма «\(sum)» не читается") }
        // A cash refund comes with the word of a receipt; its sum tells it apart.
        if let sum = amount, sum.minor < 0 {
            if kind == "payment" { kind = "refund" }
            amount = Money(minor: -sum.minor, currency: currency)
        }
        return ReportedDocument(
            kind: kind, onecId: id,
            number: values["Номер оплаты по 1С"] ?? values["Номер отгрузки по 1С"]
                ?? values["Номер по 1С"] ?? element.value("Номер"),
            date: OrderReport.day(
                element.value("Дата") ?? values["Дата оплаты по 1С"] ?? values["Дата отгрузки по 1С"]),
            amount: amount, posted: values["Проведен"].map { OrderReport.isTrue($0) } ?? true,
            cancelled: OrderReport.isTrue(values["ПометкаУдаления"]) || OrderReport.isTrue(values["Отменен"]))
    }

    private func flag(_ name: String) -> Bool? { requisites[name].map { OrderReport.isTrue($0) } }
    private func isFilled(_ name: String) -> Bool { !(requisites[name] ?? "").isEmpty }

    var onecNumber: String? { requisites["Номер по 1С"].flatMap { $0.isEmpty ? nil : $0 } }
    var posted: Bool? { flag("Проведен") }
    var cancelled: Bool { flag("Отменен") == true || flag("ПометкаУдаления") == true }
    var statusText: String? { requisites["Статус заказа"] ?? requisites["Статуса заказа ИД"] }
    /// Sent as attributes that the node's owner chose (fact 48).
    var flags: [ReportedFlag] { DepartmentMarks.read(requisites) }

    /// УНФ says it; УТ only by giving the last payment's number once nothing is left to pay (fact 49).
    var paidFlag: Bool? { flag("Оплачен") ?? (isFilled("Номер оплаты по 1С") ? true : nil) }
    var shippedFlag: Bool? { flag("Отгружен") ?? (isFilled("Номер отгрузки по 1С") ? true : nil) }

    var report: OrderReport {
        OrderReport(
            number: number, born: born, onecId: onecId, onecNumber: onecNumber, total: total, posted: posted,
            cancelled: cancelled,
            statusText: statusText, paidFlag: paidFlag, shippedFlag: shippedFlag, tellsPayments: hasSubordinates,
            isWhole: hasSubordinates,
            documents: documents, dueDate: dueDate, flags: flags, client: client, passedOver: passedOver,
            refused: refused)
    }
}
