import Foundation
import Primitives
import Testing
import XMLStream

@testable import AccountingBridge

@Suite struct CatalogReaderTests {
    private func read(_ bytes: [UInt8], step: Int = 7) throws -> (reader: CatalogReader, records: [CatalogRecord]) {
        let reader = CatalogReader()
        let xml = XMLReader(reader)
        var records: [CatalogRecord] = []
        for start in stride(from: 0, to: bytes.count, by: step) {
            try xml.feed(Array(bytes[start..<min(bytes.count, start + step)]))
            records += reader.takeRecords()
        }
        try xml.finish()
        return (reader, records + reader.takeRecords())
    }

    private static let catalog = """
        <?xml version="1.0" encoding="UTF-8"?><КоммерческаяИнформация ВерсияСхемы="2.05"><Классификатор><Ид>k</Ид><Наименование>Классификатор</Наименование>
        <Группы><Группа><Ид>g1</Ид><Наименование>Станки</Наименование><Группы><Группа><Наименование>Токарные</Наименование><Ид>g2</Ид></Группа></Группы></Группа>
        <Группа><Ид>g3</Ид><Наименование>Фрезы</Наименование></Группа></Группы>
        <Свойства><Свойство><Ид>p1</Ид><Наименование>Вес</Наименование></Свойство></Свойства></Классификатор>
        <Каталог СодержитТолькоИзменения="true"><Товары>
        <Товар Статус="Удален"><Ид>t1</Ид><Штрихкод>460</Штрихкод><Наименование> Станок &quot;Ш-1&quot; </Наименование>
        <БазоваяЕдиница Код="796 " НаименованиеПолное="Штука">шт<Пересчет><Единица>796</Единица></Пересчет></БазоваяЕдиница>
        <Группы><Ид>g2</Ид></Группы><ЗначенияСвойств><ЗначенияСвойства><Ид>p1</Ид><Значение>12</Значение></ЗначенияСвойства></ЗначенияСвойств>
        <ЗначенияРеквизитов><ЗначениеРеквизита><Наименование>Вид</Наименование><Значение>Товар</Значение></ЗначениеРеквизита></ЗначенияРеквизитов></Товар>
        <Товар><Наименование>Без Ид</Наименование></Товар></Товары></Каталог></КоммерческаяИнформация>
        """
    private static let offers = """
        <?xml version="1.0" encoding="UTF-8"?><КоммерческаяИнформация xmlns="urn:1C.ru:commerceml_210" ВерсияСхемы="2.10"><ПакетПредложений>
        <ТипыЦен><ТипЦены><Ид>r</Ид><Наименование>Розничная</Наименование><Валюта>тнг</Валюта></ТипЦены></ТипыЦен>
        <Склады><Склад><Ид>w</Ид><Наименование>Главный</Наименование></Склад></Склады><Предложения>
        <Предложение><Ид>t1#c1</Ид><ХарактеристикиТовара><ХарактеристикаТовара><Наименование>Цвет</Наименование><Значение>Синий</Значение></ХарактеристикаТовара></ХарактеристикиТовара>
        <Цены><Цена><ИдТипаЦены>r</ИдТипаЦены><ЦенаЗаЕдиницу>1 200,12345</ЦенаЗаЕдиницу></Цена><Цена><ИдТипаЦены>x</ИдТипаЦены><ЦенаЗаЕдиницу>дорого</ЦенаЗаЕдиницу></Цена></Цены>
        <Количество>7.000</Количество><Склад ИдСклада="w" КоличествоНаСкладе="5"/><Остатки><Остаток><Склад><Ид>w2</Ид><Количество>2</Количество></Склад></Остаток></Остатки></Предложение>
        </Предложения></ПакетПредложений></КоммерческаяИнформация>
        """

    @Test func groupsOfAnyDepthAndGoodsAreRead() throws {
        for step in [1, 5, 100_000] {
            let (reader, records) = try read(Array(Self.catalog.utf8), step: step)
            #expect(reader.isChangesOnly && reader.schemaVersion == "2.05")
            #expect(records.contains(.group(id: "g1", parent: nil, name: "Станки")))
            #expect(records.contains(.group(id: "g2", parent: "g1", name: "Токарные")))
            #expect(records.contains(.group(id: "g3", parent: nil, name: "Фрезы")))
            #expect(records.contains(.property(id: "p1", name: "Вес")))
            let good = CatalogGood(
                id: "t1", name: "Станок \"Ш-1\"", sku: nil, barcode: "460", unit: "шт", description: nil,
                groups: ["g2"],
                properties: ["p1": "12", "Вид": "Товар"], isDeleted: true)
            #expect(records.contains(.good(good)))
            #expect(reader.refused == ["«Товар» без Ид: Без Ид"])
        }
    }

    @Test func pricesAndStockInEveryFormAreRead() throws {
        let (reader, records) = try read(Array(Self.offers.utf8))
        #expect(records.contains(.priceType(id: "r", name: "Розничная", currency: .kzt)))
        #expect(records.contains(.warehouse(id: "w", name: "Главный")))
        guard case .offer(let offer)? = records.last else {
            Issue.record("no offer")
            return
        }
        #expect(offer.goodID == "t1" && offer.characteristics == ["Цвет": "Синий"])
        #expect(offer.prices.map(\.amount.description) == ["1200.1235"], "rounded to four places")
        #expect(offer.stocks.map { "\($0.warehouse ?? "all")=\($0.quantity)" } == ["all=7", "w=5", "w2=2"])
        #expect(reader.refused == ["предложение t1#c1: цена «дорого» не читается"])
    }

    /// The others of its file are read.
    @Test func aRecordBeyondItsLimitIsPassedOver() throws {
        let whole = try read(Array(Self.catalog.utf8)).records.count
        let long = String(repeating: "я", count: CatalogReader.recordLimit)
        let text = Self.catalog.replacing("Станок &quot;Ш-1&quot;", with: long)
        let (reader, records) = try read(Array(text.utf8), step: 65_536)
        #expect(
            reader.refused == ["запись «Товар» больше \(CatalogReader.recordLimit) байт", "«Товар» без Ид: Без Ид"])
        #expect(records.count == whole - 1)
    }

    @Test func aRecordOfManyEmptyElementsWeighsToo() throws {
        let many = String(repeating: "<a/>", count: 20_000)
        let text = Self.catalog.replacing("<Штрихкод>", with: many + "<Штрихкод>")
        #expect(try read(Array(text.utf8), step: 65_536).reader.refused.contains { $0.contains("больше") })
    }

    @Test func aNumberThatDoesNotFitIsNone() {
        #expect(CatalogReader.quantity("922337203685477.58075") == nil)
        #expect(CatalogReader.quantity("99999999999999999999") == nil)
        #expect(CatalogReader.quantity("0.00005")?.description == "0.0001")
    }

    @Test func mutatedFilesNeverCrashOrHang() throws {
        var (taken, refused) = (0, 0)
        try Mutations.run([Array(Self.catalog.utf8), Array(Self.offers.utf8)]) { bytes in
            do {
                _ = try read(bytes, step: 512)
                taken += 1
            } catch let refusal as XMLRefusal {
                #expect(!refusal.reason.isEmpty)
                refused += 1
            }
        }
        #expect(taken > 0 && refused > 0)
    }
}
