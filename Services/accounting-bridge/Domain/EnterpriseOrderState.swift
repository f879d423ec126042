import Contracts
import Primitives
import XMLStream

/// What a base has told of one order in objects of EnterpriseData: the order's own, and every document that names it (reference c.1, facts 10–12).
struct EnterpriseOrderState {
    let order: ID
    let number: String
    let currency: Currency
    let tellsPayments: Bool
    var tellsShipments: Bool?

    /// One object as it was kept.
    struct Object: Sendable {
        let id: ID
        let kind, xml: String
        /// Deleted there, or it does not name the order any more.
        let isGone: Bool
    }

    func report(_ objects: [Object]) -> Result<OrderReport, DriverFailure> {
        var report = OrderReport(number: number)
        (report.tellsPayments, report.isAsked, report.isWhole) = (tellsPayments, true, true)
        report.tellsShipments = tellsShipments
        do {
            for object in objects {
                guard object.kind != "order" else {
                    try take(object, &report)
                    continue
                }
                do { report.documents.append(try document(object)) } catch {
                    report.refused.append(Self.words(error))
                }
            }
        } catch { return .failure(.refused(Self.words(error))) }
        report.documents.sort { ($0.date ?? "", $0.onecId, $0.kind) < ($1.date ?? "", $1.onecId, $1.kind) }
        return .success(report)
    }

    static func words(_ error: any Error) -> String {
        (error as? DriverFailure)?.words ?? (error as? XMLRefusal)?.reason ?? "\(error)"
    }

    /// The order's own document.
    private func take(_ object: Object, _ report: inout OrderReport) throws {
        let element = try XMLElement.read(object.xml, limit: EnterpriseMessageReader.recordLimit)
        let keys = element.first("КлючевыеСвойства")
        report.onecId = object.id.description
        report.onecNumber = keys?.value("Номер").map { String($0.prefix(200)) }
        report.cancelled = object.isGone || OrderReport.isTrue(element.value("ПометкаУдаления"))
        report.posted = element.value("Проведен").map { OrderReport.isTrue($0) } ?? true
        report.statusText = element.value("Статус")
        report.flags = DepartmentMarks.read(Self.attributes(element))
        report.client = Self.card(element.first("Контрагент"), isDeleted: false)
        let own = try Self.currency(element, currency)
        guard own == currency else {
            throw DriverFailure.refused("заказ в 1С в другой валюте: \(own), а заказан в \(currency)")
        }
        guard let total = OrderReport.money(element.value("Сумма"), currency) else {
            throw DriverFailure.refused("сумма заказа «\(element.value("Сумма") ?? "")» (Сумма) не читается")
        }
        report.total = total
    }

    /// An order's document as one that was made in the base; nil when it is marked for deletion there.
    ///
    /// - Parameter currency: of an order that names none.
    static func born(_ told: EnterpriseMessageReader.Told, currency fallback: Currency) throws -> BornOrder? {
        let element = try XMLElement.read(told.xml, limit: EnterpriseMessageReader.recordLimit)
        guard !OrderReport.isTrue(element.value("ПометкаУдаления")) else { return nil }
        let keys = element.first("КлючевыеСвойства")
        let number = keys?.value("Номер")
        let currency = try currency(element, fallback)
        guard let total = OrderReport.money(element.value("Сумма"), currency) else {
            throw DriverFailure.refused(
                "\(number ?? "без номера"), сумма «\(element.value("Сумма") ?? "")» (Сумма) не читается")
        }
        return BornOrder(
            key: told.id.description, number: number, day: OrderReport.day(keys?.value("Дата")), total: total,
            client: card(element.first("Контрагент"), isDeleted: false),
            organization: (keys?.first("Организация") ?? element.first("Организация"))?.value("ИНН"),
            lines: (element.first("Товары")?.all("Строка") ?? []).prefix(BornOrder.lineLimit).compactMap {
                line($0, currency)
            })
    }

    private static func line(_ row: XMLElement, _ currency: Currency) -> OrderLine? {
        let good = row.anywhere("Номенклатура")
        guard let name = good?.value("Наименование"), let quantity = Quantity(onec: row.value("Количество")),
            let price = Quantity(onec: row.value("Цена")), let sum = OrderReport.money(row.value("Сумма"), currency)
        else { return nil }
        return BornOrder.line(
            sku: good?.value("Артикул"), name: name, quantity: quantity, price: price,
            unit: row.anywhere("ДанныеКлассификатора")?.value("Наименование"), sum: sum)
    }

    /// «Дополнительные реквизиты» of a document, by their names.
    private static func attributes(_ element: XMLElement) -> [String: String] {
        (element.first("ДополнительныеРеквизиты")?.all("Строка") ?? []).reduce(into: [:]) { found, row in
            guard let name = row.first("Свойство")?.anywhere("Наименование")?.text.nonEmpty else { return }
            found[name] = row.first("ЗначениеСвойства").map { $0.anywhere("Значение")?.text ?? $0.text } ?? ""
        }
    }

    private func document(_ object: Object) throws -> ReportedDocument {
        let element = try XMLElement.read(object.xml, limit: EnterpriseMessageReader.recordLimit)
        let keys = element.first("КлючевыеСвойства")
        let name = keys?.value("Номер") ?? element.name
        guard let amount = try amount(element, object.kind) else {
            throw DriverFailure.refused("документ \(name): сумма не читается")
        }
        // What the bank calls it is what a person looks for.
        let common = element.first("ОбщиеДанные")
        return ReportedDocument(
            kind: object.kind, onecId: object.id.description,
            number: common?.value("НомерВходящегоДокумента") ?? keys?.value("Номер"),
            date: OrderReport.day(common?.value("ДатаВыписки") ?? keys?.value("Дата")), amount: amount,
            posted: element.value("Проведен").map { OrderReport.isTrue($0) } ?? true,
            cancelled: object.isGone || OrderReport.isTrue(element.value("ПометкаУдаления")))
    }

    /// What the document gives to this order, in the order's currency; nil when it cannot be read.
    private func amount(_ element: XMLElement, _ kind: String) throws -> Money? {
        guard let share = Self.shares(of: element, kind).first(where: { $0.order == order }) else {
            return .zero(currency)
        }
        let own = try Self.currency(element, currency)
        guard let rows = share.rows else {
            guard own == currency else {
                throw DriverFailure.refused("документ \(element.name) в другой валюте, чем заказ")
            }
            let text = element.value("Сумма") ?? element.first("ОбщиеДанные")?.value("Сумма")
            return OrderReport.money(text, currency).flatMap { $0.minor >= 0 ? $0 : nil }
        }
        let isMoney = Self.isMoney(kind)
        if own != currency, !isMoney {
            throw DriverFailure.refused("документ \(element.name) в другой валюте, чем заказ")
        }
        // In another currency than the order's: what is settled by it, if that is in the order's own.
        func isSettled(_ row: XMLElement) -> Bool {
            let words = [
                row.anywhere("ВалютаВзаиморасчетов")?.anywhere("Код")?.text,
                row.anywhere("ВалютаВзаиморасчетов")?.anywhere("Наименование")?.text,
            ]
            return words.compactMap { $0.flatMap { Currency(onec: $0) } }.contains(currency)
        }
        guard own == currency || rows.allSatisfy(isSettled) else {
            throw DriverFailure.refused("документ \(element.name) в другой валюте, чем заказ")
        }
        let field = own == currency ? "Сумма" : "СуммаВзаиморасчетов"
        let isVATApart = !isMoney && !OrderReport.isTrue(element.value("СуммаВключаетНДС") ?? "true")
        var sum: Int64 = 0
        for row in rows {
            let parts = [row.value(field)] + (isVATApart ? [row.value("СуммаНДС") ?? "0"] : [])
            for part in parts {
                guard let part = OrderReport.money(part, currency), part.minor >= 0 else { return nil }
                sum += part.minor
                // Each part is within the limit, so that their sum is long seen before it overflows.
                guard sum <= Money.limit else { return nil }
            }
        }
        return Money(minor: sum, currency: currency)
    }

    // MARK: what stands where

    private static func isMoney(_ kind: String) -> Bool { kind == "payment" || kind == "refund" }

    /// An order that a document is for: the rows that are for it, or all of the document.
    struct Share {
        let order: ID
        var rows: [XMLElement]?
    }

    /// The orders that a document is for. Each row is for one: the one that it names, or the one of the document's head; money that no row gives to
    /// an order is for none, unless no row names any.
    static func shares(of element: XMLElement, _ kind: String) -> [Share] {
        // Tables of advances and of payments by stages repeat what stands in these.
        let tables = element.children.filter { table in
            isMoney(kind)
                ? table.name.hasPrefix("Расшифровка")
                : !["Зачет", "Этап", "График", "Оплат"].contains { table.name.hasPrefix($0) }
        }
        .map { $0.all("Строка") }
        let head = order(namedBy: element, tables: false)
        let rows = tables.flatMap { $0 }.map { (row: $0, order: order(namedBy: $0, tables: true)) }
        guard rows.contains(where: { $0.order != nil }) else { return head.map { [Share(order: $0)] } ?? [] }
        var (shares, places): ([Share], [ID: Int]) = ([], [:])
        for (row, named) in rows {
            guard let order = named ?? (isMoney(kind) ? nil : head) else { continue }
            if let place = places[order] {
                shares[place].rows?.append(row)
            } else {
                places[order] = shares.count
                shares.append(Share(order: order, rows: [row]))
            }
        }
        return shares
    }

    /// The order that an object names in its own fields: the format's versions differ in which.
    ///
    /// - Parameter tables: whether rows of tables within it count.
    private static func order(namedBy element: XMLElement, tables: Bool) -> ID? {
        for name in fields {
            if let field = find(name, in: element, tables: tables),
                let id = field.anywhere("Ссылка").flatMap({ ID($0.text) })
            {
                return id
            }
        }
        return nil
    }

    private static func find(_ name: String, in element: XMLElement, tables: Bool) -> XMLElement? {
        for child in element.children {
            if isSameName(child.name, name) { return child }
            if !tables, child.first("Строка") != nil { continue }
            if let found = find(name, in: child, tables: tables) { return found }
        }
        return nil
    }

    /// The first of them that is there counts.
    private static let fields = ["Заказ", "ЗаказКлиента", "ДокументОснование", "Основание"]

    /// The currency that an object names; that of the order when it names none.
    private static func currency(_ element: XMLElement, _ fallback: Currency) throws -> Currency {
        guard let own = element.first("Валюта") ?? element.first("ОбщиеДанные")?.first("Валюта") else {
            return fallback
        }
        let words = [own.anywhere("Код")?.text, own.anywhere("Наименование")?.text, own.text].compactMap {
            $0?.nonEmpty
        }
        guard let word = words.first else { return fallback }
        guard let currency = words.lazy.compactMap({ Currency(onec: $0) }).first else {
            throw DriverFailure.refused("валюта «\(word)» неизвестна")
        }
        return currency
    }

    /// A counterparty by its key properties, which stand in its own card and wherever it is named (fact 11).
    ///
    /// - Parameter history: what its own card tells of what it was before.
    static func card(_ keys: XMLElement?, isDeleted: Bool, history: [FormerValue]? = nil) -> ClientCard? {
        ClientCard(
            onecId: keys?.value("Ссылка"), name: keys?.value("Наименование"),
            fullName: keys?.value("НаименованиеПолное"),
            inn: keys?.value("ИНН"), kpp: keys?.value("КПП"), isDeleted: isDeleted, history: history)
    }

    /// Names and КПП that a counterparty has had, and since when (fact 10): the newest of each is what it has now.
    static func history(_ object: XMLElement) -> [FormerValue]? {
        let tables = [("ИсторияНаименований", "name", "Наименование"), ("ИсторияКПП", "kpp", "КПП")]
        guard tables.contains(where: { object.first($0.0) != nil }) else { return nil }
        return tables.flatMap { table, field, word in
            (object.first(table)?.all("Строка") ?? []).compactMap { row -> FormerValue? in
                let value = row.children.first { $0.name.hasPrefix(word) }?.text.trimmed.nonEmpty
                return value.map { FormerValue(field: field, value: $0, since: OrderReport.day(row.value("Период"))) }
            }.sorted { ($0.since ?? "") < ($1.since ?? "") }
        }
    }
}
