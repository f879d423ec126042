import CommerceML
import Primitives
import XMLStream

/// What a catalog file tells, one record after another. Ids are 1C's: a GUID, for a variant `guid#variant`.
enum CatalogRecord: Sendable, Equatable {
    case group(id: String, parent: String?, name: String)
    case property(id: String, name: String)
    case priceType(id: String, name: String, currency: Currency?)
    case warehouse(id: String, name: String)
    case good(CatalogGood)
    case offer(CatalogOffer)
}

struct CatalogGood: Sendable, Equatable, Encodable {
    let id, name: String
    let sku, barcode, unit, description: String?
    let groups: [String]
    /// Values by property or requisite: an id of 1C's, or a name.
    let properties: [String: String]
    /// 1C says that it is deleted (`Статус="Удален"`).
    let isDeleted: Bool
}

struct CatalogOffer: Sendable, Equatable, Encodable {
    struct Price: Sendable, Equatable, Encodable {
        let type: String
        let amount: Quantity
        let currency: Currency?
        let unit: String?
    }
    struct Stock: Sendable, Equatable, Encodable {
        /// Nil: all warehouses together.
        let warehouse: String?
        let quantity: Quantity
    }
    let id: String
    let name, sku, barcode: String?
    /// Characteristics that make it a variant of its good.
    let characteristics: [String: String]
    let prices: [Price]
    let stocks: [Stock]

    /// `guid#variant` belongs to the good `guid`.
    var goodID: String { String(id.prefix { $0 != "#" }) }
}

/// Reads CommerceML catalogs and offers (`import*.xml`, `offers*.xml`, `prices*.xml`, `rests*.xml`, 2.03–2.10) as they stream by,
/// leniently: local names, unknown elements passed over, groups of any depth, prices with a comma.
final class CatalogReader: XMLReader.Handler {
    /// Takes the records that have been read; nothing is kept of them.
    private(set) var records: [CatalogRecord] = []
    /// About how large they are.
    private(set) var heldBytes = 0
    private(set) var schemaVersion = ""
    /// `СодержитТолькоИзменения` of the catalog or of the package of offers.
    private(set) var isChangesOnly = false
    /// Records that could not be used, with the reason; the first ``refusalLimit``.
    private(set) var refused: [String] = []
    private(set) var refusedCount = 0
    private(set) var sawRoot = false

    private var record = XMLRecordBuilder(limit: recordLimit)
    /// Open elements of the record that is read, and of one that is too large and passed over: it must not keep the others away.
    private var (depth, skipped) = (0, 0)
    /// Names of the open elements outside of records.
    private var path: [String] = []
    /// Groups that are open: their ids, once they have been read.
    private var groups: [(id: String?, name: String?)] = []
    /// Ид or Наименование of a group.
    private var field: [UInt8]?

    /// Bytes of one record, and of a group's name, at most.
    static let recordLimit = 1024 * 1024
    private static let fieldLimit = 10_000
    /// Bytes of an id at most.
    private static let idLimit = 255
    static let refusalLimit = 100
    /// Elements that are records, with the element they must stand in.
    private static let containers = [
        ("Товар", "Товары"), ("Предложение", "Предложения"), ("ТипЦены", "ТипыЦен"), ("Склад", "Склады"),
        ("Свойство", "Свойства"), ("СвойствоНоменклатуры", "Свойства"),
    ]

    private func isRecord(_ name: String) -> Bool {
        guard let last = path.last else { return false }
        return Self.containers.contains { isSameName($0.0, name) && isSameName($0.1, last) }
    }

    func takeRecords() -> [CatalogRecord] {
        defer {
            records.removeAll(keepingCapacity: true)
            heldBytes = 0
        }
        return records
    }

    func start(_ name: String, _ attributes: XMLAttributes) throws {
        if !sawRoot {
            sawRoot = true
            guard name == "КоммерческаяИнформация" else {
                throw XMLRefusal(
                    reason: "корень файла «\(name)», а ожидается «КоммерческаяИнформация»", isIncomplete: false)
            }
            schemaVersion = attributes["ВерсияСхемы"] ?? ""
        }
        if skipped > 0 {
            skipped += 1
            return
        }
        if record.isOpen || isRecord(name) {
            depth += 1
            return keep { try record.start(name, attributes) }
        }
        if name == "Группа", path.last == "Группы" { groups.append((nil, nil)) }
        if ["Каталог", "ПакетПредложений", "ИзмененияПакетаПредложений"].contains(name) {
            isChangesOnly =
                name == "ИзмененияПакетаПредложений"
                || OrderReport.isTrue(attributes["СодержитТолькоИзменения"])
        }
        field = path.last == "Группа" && (name == "Ид" || name == "Наименование") ? [] : nil
        path.append(name)
    }

    func text(_ text: UnsafeBufferPointer<UInt8>) throws {
        if skipped > 0 { return }
        if record.isOpen { return keep { try record.text(text) } }
        guard let count = field?.count, count + text.count <= Self.fieldLimit else { return }
        field?.append(contentsOf: text)
    }

    private func keep(_ piece: () throws -> Void) {
        do { try piece() } catch {
            refuse((error as? XMLRefusal)?.reason ?? "\(error)")
            (depth, skipped) = (0, depth)
            record = XMLRecordBuilder(limit: Self.recordLimit)
        }
    }

    func end(_ name: String) throws {
        if skipped > 0 {
            skipped -= 1
            return
        }
        if record.isOpen {
            depth -= 1
            if let closed = record.end() {
                heldBytes += record.size
                understand(closed)
            }
            return
        }
        if let field, !groups.isEmpty {
            let text = String(decoding: field, as: UTF8.self).trimmed
            if name == "Ид" { groups[groups.count - 1].id = text } else { groups[groups.count - 1].name = text }
            tellGroup()
        }
        field = nil
        if name == "Группа", path.dropLast().last == "Группы" { groups.removeLast() }
        path.removeLast()
    }

    /// A group is told as soon as it has both its fields: its own groups come below it, before it ends.
    private func tellGroup() {
        guard let last = groups.last, let id = last.id, !id.isEmpty, let name = last.name else { return }
        guard id.utf8.count <= Self.idLimit else {
            return refuse("группа «\(name.prefix(100))»: Ид длиннее \(Self.idLimit) байт")
        }
        records.append(.group(id: id, parent: groups.dropLast().last?.id ?? nil, name: name))
    }

    private func understand(_ element: XMLElement) {
        guard let id = element.value("Ид") else {
            return refuse("«\(element.name)» без Ид: \(element.value("Наименование") ?? "без наименования")")
        }
        guard id.utf8.count <= Self.idLimit else { return refuse("«\(element.name)»: Ид длиннее \(Self.idLimit) байт") }
        if isSameName(element.name, "Товар") { return records.append(.good(Self.good(id, element))) }
        switch element.name {
        case "Предложение": offer(id, element)
        case "ТипЦены":
            records.append(
                .priceType(
                    id: id, name: element.value("Наименование") ?? id,
                    currency: element.value("Валюта").flatMap { Currency(onec: $0) }))
        case "Склад": records.append(.warehouse(id: id, name: element.value("Наименование") ?? id))
        default: records.append(.property(id: id, name: element.value("Наименование") ?? id))
        }
    }

    private func refuse(_ reason: String) {
        refusedCount += 1
        if refused.count < Self.refusalLimit { refused.append(reason) }
    }

    private static func good(_ id: String, _ element: XMLElement) -> CatalogGood {
        var properties = element.requisites
        for value in element.first("ЗначенияСвойств")?.all("ЗначенияСвойства") ?? [] {
            if let name = value.value("Ид") { properties[name] = value.value("Значение") ?? "" }
        }
        for tax in element.first("СтавкиНалогов")?.all("СтавкаНалога") ?? [] {
            if let name = tax.value("Наименование"), let rate = tax.value("Ставка") { properties[name] = rate }
        }
        let status = element.attributes["Статус"] ?? element.value("Статус")
        return CatalogGood(
            id: id, name: element.value("Наименование") ?? element.value("ПолноеНаименование") ?? id,
            sku: element.value("Артикул"), barcode: element.value("Штрихкод"), unit: unit(element),
            description: element.value("Описание"),
            groups: element.first("Группы")?.all("Ид").map(\.text) ?? [], properties: properties,
            isDeleted: ["удален", "удалён"].contains(status?.lowercased()))
    }

    /// УТ writes the code with a blank (`796 `, reference e.8), the short name as text or only as an attribute.
    private static func unit(_ element: XMLElement) -> String? {
        guard let unit = element.first("БазоваяЕдиница") ?? element.first("Единица") else { return nil }
        if !unit.text.isEmpty { return unit.text }
        for name in ["НаименованиеКраткое", "НаименованиеПолное", "Код"] {
            if let text = unit.attributes[name]?.trimmed, !text.isEmpty { return text }
        }
        return nil
    }

    private func offer(_ id: String, _ element: XMLElement) {
        var prices: [CatalogOffer.Price] = []
        for price in element.first("Цены")?.all("Цена") ?? [] {
            guard let type = price.value("ИдТипаЦены"), type.utf8.count <= Self.idLimit else { continue }
            guard let text = price.value("ЦенаЗаЕдиницу"), let amount = Self.quantity(text) else {
                refuse("предложение \(id): цена «\(price.value("ЦенаЗаЕдиницу") ?? "")» не читается")
                continue
            }
            prices.append(
                .init(
                    type: type, amount: amount, currency: price.value("Валюта").flatMap { Currency(onec: $0) },
                    unit: price.value("Единица")))
        }
        var characteristics: [String: String] = [:]
        for one in element.first("ХарактеристикиТовара")?.all("ХарактеристикаТовара") ?? [] {
            if let name = one.value("Наименование") { characteristics[name] = one.value("Значение") ?? "" }
        }
        records.append(
            .offer(
                CatalogOffer(
                    id: id, name: element.value("Наименование"), sku: element.value("Артикул"),
                    barcode: element.value("Штрихкод"), characteristics: characteristics, prices: prices,
                    stocks: stocks(id, element))))
    }

    /// Stock stands in three forms: `Количество` of all, `<Склад ИдСклада КоличествоНаСкладе>`, and from 2.08 on
    /// `Остатки/Остаток/Склад`.
    private func stocks(_ id: String, _ element: XMLElement) -> [CatalogOffer.Stock] {
        var stocks: [CatalogOffer.Stock] = []
        func add(_ warehouse: String?, _ text: String?) {
            guard let text else { return }
            guard (warehouse?.utf8.count ?? 0) <= Self.idLimit, let quantity = Self.quantity(text) else {
                return refuse("предложение \(id): остаток «\(text)» не читается")
            }
            stocks.append(.init(warehouse: warehouse, quantity: quantity))
        }
        add(nil, element.value("Количество"))
        for warehouse in element.all("Склад") {
            add(
                warehouse.attributes["ИдСклада"] ?? warehouse.value("ИдСклада"),
                warehouse.attributes["КоличествоНаСкладе"] ?? warehouse.value("КоличествоНаСкладе"))
        }
        for rest in element.first("Остатки")?.all("Остаток") ?? [] {
            add(nil, rest.value("Количество"))
            for warehouse in rest.all("Склад") { add(warehouse.value("Ид"), warehouse.value("Количество")) }
        }
        return stocks
    }

    /// `1 200,50`, `0.000`; finer than four places is rounded to four.
    static func quantity(_ text: String) -> Quantity? {
        var plain = String(text.compactMap { $0 == "," ? "." : $0.isWhitespace ? nil : $0 })
        if let point = plain.firstIndex(of: "."), plain.distance(from: point, to: plain.endIndex) > 5 {
            guard let cut = plain.index(point, offsetBy: 5, limitedBy: plain.endIndex) else { return nil }
            let next = plain[cut]
            guard plain[cut...].allSatisfy({ $0.isASCII && $0.isNumber }), let value = Quantity(String(plain[..<cut]))
            else {
                return nil
            }
            let up: Int64 = next >= "5" ? (plain.hasPrefix("-") ? -1 : 1) : 0
            let (sum, overflow) = value.tenThousandths.addingReportingOverflow(up)
            return overflow ? nil : Quantity(tenThousandths: sum)
        }
        if plain.hasSuffix(".") { plain.removeLast() }
        return Quantity(plain)
    }
}
