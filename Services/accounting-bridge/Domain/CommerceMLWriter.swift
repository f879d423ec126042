import Contracts
import Primitives
import XMLStream

/// Writes orders as 1C's configurations take them: UTF-8 without BOM, two decimals, element order of schema 2.08.
enum CommerceMLWriter {
    static func orders(_ orders: [OutgoingOrder], at now: Timestamp) -> String {
        var out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        out += "<КоммерческаяИнформация xmlns=\"urn:1C.ru:commerceml_2\" ВерсияСхемы=\"2.08\" "
        out += "ДатаФормирования=\"\(now.description.prefix(19))\">\n"
        for one in orders { out += document(one) }
        return out + "</КоммерческаяИнформация>\n"
    }

    private static func document(_ outgoing: OutgoingOrder) -> String {
        let order = outgoing.order
        var out = "  <Документ>\n"
        out += tag("Ид", order.orderId.description) + tag("Номер", order.number) + tag("Дата", outgoing.day)
        out += tag("ХозОперация", "Заказ товара") + tag("Роль", "Продавец")
        out += tag("Валюта", order.currency.code) + tag("Курс", "1") + tag("Сумма", order.total.amount)
        out += "    <Контрагенты>\n" + counterparty(outgoing) + "    </Контрагенты>\n"
        let comment = order.remarks(saysKind: false)
        if !comment.isEmpty { out += tag("Комментарий", String(comment.joined(separator: "\n").prefix(3000))) }
        out += taxes(order)
        // Those without VAT first: УТ gives a row that names no rate the rate of the row before it.
        let lines = order.lines.filter { $0.vatRate == nil } + order.lines.filter { $0.vatRate != nil }
        out += "    <Товары>\n" + lines.map { line($0, outgoing.goods) }.joined() + "    </Товары>\n"
        out += "    <ЗначенияРеквизитов>\n"
        out += requisite("Вид заказа", OrderKind.words(order.kind))
        if let booking = order.bookingId { out += requisite("Ид брони", booking) }
        out += "    </ЗначенияРеквизитов>\n"
        return out + "  </Документ>\n"
    }

    /// That the sums hold VAT, and how much: without it УНФ makes an order free of VAT, and УТ adds the tax on top at the next recalculation.
    private static func taxes(_ order: OrderRequested) -> String {
        let taxed = order.lines.filter { $0.vatRate != nil }
        guard !taxed.isEmpty else { return "" }
        let sum = taxed.reduce(Money.zero(order.currency)) { $0 + $1.vatSum }
        return "    <Налоги>\n      <Налог>\n" + tag("Наименование", "НДС") + tag("УчтеноВСумме", "true")
            + tag("Сумма", sum.amount)
            + "      </Налог>\n    </Налоги>\n"
    }

    /// The client under the id and the name of 1C's own card once it is known: УТ looks people up by their exact name, and whom we call otherwise
    /// would become a second one (reference 59, 61).
    private static func counterparty(_ outgoing: OutgoingOrder) -> String {
        let who = outgoing.order.counterparty
        let name = outgoing.card?.name ?? who.name
        var out = "      <Контрагент>\n"
        out += tag("Ид", outgoing.card?.id ?? who.id.description) + tag("Наименование", name)
        if who.isFirm {
            out += tag("ОфициальноеНаименование", outgoing.card?.fullName ?? name)
            if let inn = who.inn { out += tag("ИНН", inn) }
            if let kpp = who.kpp { out += tag("КПП", kpp) }
        } else {
            out += tag("ПолноеНаименование", outgoing.card?.fullName ?? name)
            if let inn = who.inn { out += tag("ИНН", inn) }
        }
        let contacts = [("ТелефонРабочий", who.phone), ("Почта", who.email)].compactMap { kind, value in
            value.map { "        <Контакт>\n" + tag("Тип", kind) + tag("Значение", $0) + "        </Контакт>\n" }
        }
        if !contacts.isEmpty { out += "      <Контакты>\n\(contacts.joined())      </Контакты>\n" }
        return out + tag("Роль", "Покупатель") + "      </Контрагент>\n"
    }

    /// - Parameter goods: 1C's own ids by article: under its id a good is found for sure, by an article or a name perhaps another one (fact 44).
    private static func line(_ line: OrderLine, _ goods: [String: String]) -> String {
        var out = "      <Товар>\n"
        out += tag("Ид", goods[line.sku] ?? (line.sku.isEmpty ? line.name : line.sku))
        if !line.sku.isEmpty { out += tag("Артикул", line.sku) }
        out += tag("Наименование", line.name)
        out += "        " + unit(line.unit ?? "шт") + "\n"
        // What every good has comes first, then what it is in this order: УТ reads by the schema's sequence.
        if let rate = line.vatRate.map({ String($0) }) {
            out += "        <СтавкиНалогов>\n      <СтавкаНалога>\n" + tag("Наименование", "НДС") + tag("Ставка", rate)
            out += "      </СтавкаНалога>\n        </СтавкиНалогов>\n"
        }
        out +=
            "        <ЗначенияРеквизитов>\n" + requisite("ТипНоменклатуры", "Товар")
            + "        </ЗначенияРеквизитов>\n"
        out += tag("ЦенаЗаЕдиницу", line.price.rounded) + tag("Количество", line.quantity.description)
        out += tag("Сумма", line.sum.amount)
        if let discount = line.discount, discount.minor > 0 {
            out += "        <Скидки>\n      <Скидка>\n" + tag("Наименование", "Скидка") + tag("Сумма", discount.amount)
            out += tag("УчтеноВСумме", "true") + "      </Скидка>\n        </Скидки>\n"
        }
        return out + "      </Товар>\n"
    }

    /// Units of ОКЕИ by their short names; one that is not here goes out by its name alone.
    private static let units = [
        "шт": ("796", "Штука"), "кг": ("166", "Килограмм"), "г": ("163", "Грамм"), "т": ("168", "Тонна"),
        "м": ("006", "Метр"), "м2": ("055", "Квадратный метр"), "м3": ("113", "Кубический метр"),
        "л": ("112", "Литр"), "упак": ("778", "Упаковка"), "компл": ("839", "Комплект"), "пар": ("715", "Пара"),
        "ч": ("356", "Час"), "усл. ед": ("876", "Условная единица"),
    ]

    private static func unit(_ name: String) -> String {
        let short = String(name.lowercased().map { $0 == "²" ? "2" : $0 == "³" ? "3" : $0 })
        let known = units[short.hasSuffix(".") ? String(short.dropLast()) : short]
        let attributes = known.map { " Код=\"\($0.0)\" НаименованиеПолное=\"\($0.1)\"" } ?? ""
        return "<БазоваяЕдиница\(attributes)>\(XMLText.escape(name))</БазоваяЕдиница>"
    }

    private static func requisite(_ name: String, _ value: String) -> String {
        "      <ЗначениеРеквизита>\n" + tag("Наименование", name) + tag("Значение", value)
            + "      </ЗначениеРеквизита>\n"
    }

    private static func tag(_ name: String, _ text: String) -> String {
        "    <\(name)>\(XMLText.escape(text))</\(name)>\n"
    }
}

extension Quantity {
    /// A price with two decimals, as schema and 1C's prices have: a finer one is rounded, the line's sum stays what was agreed.
    var rounded: String {
        Quantity(tenThousandths: 10_000).times(price: self, in: .rub)?.amount ?? twoPlaces
    }

    /// A price with two decimals at least; a finer one keeps its places.
    var twoPlaces: String {
        let text = description
        guard let point = text.firstIndex(of: ".") else { return text + ".00" }
        let places = text.distance(from: point, to: text.endIndex) - 1
        return places < 2 ? text + "0" : text
    }
}
