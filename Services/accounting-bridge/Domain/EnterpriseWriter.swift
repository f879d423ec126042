import Contracts
import Primitives
import ServiceKit
import Sodium
import XMLStream

/// Writes an order as objects of EnterpriseData: its goods, its client, the order itself. Every object has an id of ours that never changes, so that
/// sending it again changes it and makes no second one; references repeat the key properties by which a base finds what it has already (fact 11).
struct EnterpriseWriter {
    let organizations: [SuiteSettings.Organization]

    /// - Throws: ``DriverFailure/refused(_:)`` when the order lacks what a base needs to take it.
    func objects(_ outgoing: OutgoingOrder) throws -> String {
        let order = outgoing.order
        guard let organization = organizations.first(where: { $0.code == order.organization }),
            let inn = organization.inn
        else { throw DriverFailure.refused("у организации \(order.organization) не указан ИНН: в 1С её не найти") }
        guard let currency = order.currency.isoNumber else {
            throw DriverFailure.refused("номер валюты \(order.currency) по ISO 4217 неизвестен")
        }
        let client = client(outgoing)
        var seen: Set<ID> = []
        var out = ""
        for line in order.lines where seen.insert(Self.good(line)).inserted {
            out += tag(EnterpriseKind.good, tag("КлючевыеСвойства", good(line)) + unit(line))
        }
        out += tag(EnterpriseKind.client, tag("КлючевыеСвойства", client))
        var document = tag(
            "КлючевыеСвойства",
            tag("Ссылка", order.orderId.description) + tag("Дата", "\(outgoing.day)T00:00:00")
                + tag("Номер", order.number)
                + tag("Организация", firm(organization, inn)))
        document += tag(
            "Валюта", tag("ДанныеКлассификатора", tag("Код", currency) + tag("Наименование", order.currency.code)))
        document += tag("Сумма", order.total.amount) + tag("Контрагент", client) + tag("СуммаВключаетНДС", "true")
        document += tag("Товары", try order.lines.map { tag("Строка", try row($0)) }.joined())
        let words = ["Throughline № \(order.number)."] + order.remarks(saysKind: true)
        document += tag("Комментарий", words.joined(separator: "\n"), isText: true)
        return out + tag(EnterpriseKind.order, document) + "\n"
    }

    private func firm(_ organization: SuiteSettings.Organization, _ inn: String) -> String {
        let kpp = organization.kpp ?? ""
        return text("Ссылка", ID(digest: sha256(Array("organization \(inn) \(kpp)".utf8))).description)
            + text("Наименование", organization.name) + text("НаименованиеПолное", organization.name) + text("ИНН", inn)
            + text("КПП", kpp) + text("ЮридическоеФизическоеЛицо", inn.count == 12 ? Self.person : Self.company)
    }

    /// The client under the id and the name of the base's own card once it is known.
    private func client(_ outgoing: OutgoingOrder) -> String {
        let who = outgoing.order.counterparty
        let name = outgoing.card?.name ?? who.name
        return text("Ссылка", outgoing.card?.id ?? who.id.description) + text("Наименование", name)
            + text("НаименованиеПолное", outgoing.card?.fullName ?? name) + text("ИНН", who.inn ?? "")
            + text("КПП", who.kpp ?? "") + text("ЮридическоеФизическоеЛицо", who.isFirm ? Self.company : Self.person)
    }

    private static let company = "ЮридическоеЛицо"
    private static let person = "ФизическоеЛицо"

    /// The same good has the same id in every order: by its article, or by its name when it has none.
    static func good(_ line: OrderLine) -> ID {
        ID(digest: sha256(Array((line.sku.isEmpty ? "name \(line.name)" : "article \(line.sku)").utf8)))
    }

    private func good(_ line: OrderLine) -> String {
        text("Ссылка", Self.good(line).description) + text("Наименование", line.name)
            + text("НаименованиеПолное", line.name) + text("Артикул", line.sku)
    }

    private func unit(_ line: OrderLine) -> String {
        tag("ЕдиницаИзмерения", tag("ДанныеКлассификатора", text("Наименование", line.unit ?? "шт")))
    }

    private func row(_ line: OrderLine) throws -> String {
        var out = tag("ДанныеНоменклатуры", tag("Номенклатура", good(line))) + unit(line)
        out += text("Количество", line.quantity.description) + text("Цена", line.price.twoPlaces)
        out += text("Сумма", line.sum.amount)
        guard let rate = line.vat else { return out + text("СтавкаНДС", "БезНДС") }
        guard let percent = Int64(rate), (0...99).contains(percent) else {
            throw DriverFailure.refused("ставка НДС «\(rate)» не число процентов")
        }
        // Of a sum that includes it, rounded half up; sums of an order are far from what would overflow.
        let (product, isTooLarge) = line.sum.minor.multipliedReportingOverflow(by: 2 * percent)
        guard !isTooLarge, line.sum.minor >= 0 else {
            throw DriverFailure.refused("сумма строки «\(line.name)» слишком велика")
        }
        let vat = (product / (100 + percent) + 1) / 2
        return out + text("СтавкаНДС", "НДС\(percent)")
            + text("СуммаНДС", Money(minor: vat, currency: line.sum.currency).amount)
    }

    private func tag(_ name: String, _ inner: String, isText: Bool = false) -> String {
        "<\(name)>\(isText ? XMLText.escape(inner) : inner)</\(name)>"
    }

    /// A property; one that is empty is left out.
    private func text(_ name: String, _ value: String) -> String { value.isEmpty ? "" : tag(name, value, isText: true) }
}
