import CommerceML
import Contracts
import Foundation
import Primitives
import Testing
import XMLStream

@testable import AccountingBridge

@Suite struct CommerceMLTests {
    private func read(_ bytes: [UInt8], pieces: Int = 7) throws -> CommerceMLReader {
        let reader = CommerceMLReader()
        let xml = XMLReader(reader)
        for start in stride(from: 0, to: bytes.count, by: pieces) {
            try xml.feed(Array(bytes[start..<min(bytes.count, start + pieces)]))
        }
        try xml.finish()
        return reader
    }

    private let report = """
        <?xml version="1.0" encoding="UTF-8"?><КоммерческаяИнформация xmlns="urn:1C.ru:commerceml_210" ВерсияСхемы="2.10">
        <Контейнер><Документ><Ид>g1</Ид><Номер>77</Номер><ХозОперация>Заказ товара</ХозОперация><Валюта>руб</Валюта><Сумма>1 000,50</Сумма>
        <ПодчиненныеДокументы><ПодчиненныйДокумент><Ид>p1</Ид><Дата>2021-02-18T9:49:02</Дата><ХозОперация>Выплата безналичных денег</ХозОперация><Сумма>300.00</Сумма>
        <ЗначенияРеквизитов><ЗначениеРеквизита><Наименование>Проведен</Наименование><Значение>false</Значение></ЗначениеРеквизита></ЗначенияРеквизитов>
        </ПодчиненныйДокумент></ПодчиненныеДокументы></Документ></Контейнер></КоммерческаяИнформация>
        """

    @Test func aDocumentInAContainerIsReadFromPiecesOfAnySize() throws {
        for size in [1, 3, 64, 10_000] {
            let reader = try read(Array(report.utf8), pieces: size)
            let order = try OrderReportReader(reader.documents[0], schema: reader.schemaVersion, fallback: .kzt)
            #expect(order.number == "77" && order.total == Money("1000.50", .rub) && order.hasSubordinates)
            #expect(order.documents.first?.amount == Money("300.00", .rub))
            #expect(order.documents.first?.posted == false && order.documents.first?.date == "2021-02-18")
        }
    }

    @Test func aCutFileIsIncompleteAndNotWrong() {
        let half = Array(Array(report.utf8).prefix(500))
        do {
            _ = try read(half)
            Issue.record("it was taken")
        } catch let refusal as XMLRefusal {
            #expect(refusal.isIncomplete)
        } catch { Issue.record("\(error)") }
    }

    @Test func aBombIsRefusedByName() {
        let bomb =
            #"<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "b">]><КоммерческаяИнформация>&b;</КоммерческаяИнформация>"#
        do {
            _ = try read(Array(bomb.utf8))
            Issue.record("it was taken")
        } catch let refusal as XMLRefusal {
            #expect(refusal.reason.contains("DOCTYPE") && !refusal.isIncomplete)
        } catch { Issue.record("\(error)") }
    }

    @Test func realOrderFilesAreRead() throws {
        let here = URL(filePath: #filePath).deletingLastPathComponent()
        let folder = here.appending(path: "../../../shared/data/commerceml").standardized
        let files = ["carono-php__orders.xml", "carono-yii2__from.xml", "dobromyslov__bitrix-query-response-full.xml"]
        for name in files {
            guard let data = try? Data(contentsOf: folder.appending(path: name)) else {
                print("skipped: \(name) is not there")
                continue
            }
            let reader = try read(Array(data), pieces: 4096)
            #expect(!reader.documents.isEmpty, "\(name)")
            for document in reader.documents {
                let order = try OrderReportReader(document, schema: reader.schemaVersion, fallback: .rub)
                #expect(!order.number.isEmpty)
            }
        }
    }

    @Test func mutatedFilesNeverCrashOrHang() throws {
        var (taken, refused) = (0, 0)
        try Mutations.run([Array(report.utf8)]) { bytes in
            do {
                let reader = try read(bytes, pieces: 512)
                for document in reader.documents {
                    _ = try OrderReportReader(document, schema: reader.schemaVersion, fallback: .rub)
                }
                taken += 1
            } catch let refusal as XMLRefusal {
                #expect(!refusal.reason.isEmpty)
                refused += 1
            }
        }
        #expect(taken > 0 && refused > 0)
    }

    /// УНФ takes an order without its taxes for one free of VAT, УТ adds the tax on top, and gives a row without a rate the rate of the row
    /// before it.
    @Test func anOrderSaysThatItsSumsHoldVAT() throws {
        func line(_ name: String, _ vat: String?, _ sum: Int64) throws -> OrderLine {
            OrderLine(
                sku: name, name: name, quantity: try #require(Quantity("1")),
                price: try #require(Quantity(Money(minor: sum, currency: .rub).amount)), unit: nil, vat: vat,
                discount: nil,
                sum: Money(minor: sum, currency: .rub))
        }
        func document(_ lines: [OrderLine]) throws -> XMLElement {
            let order = OrderRequested(
                orderId: .make(), number: "12", kind: "goods", base: "ut", organization: "ooo", dealId: .make(),
                currency: .rub, total: Money(minor: lines.reduce(0) { $0 + $1.sum.minor }, currency: .rub),
                lines: lines,
                counterparty: Counterparty(
                    id: .make(), name: "ООО", isFirm: true, inn: nil, kpp: nil, phone: nil, email: nil), slice: Slice())
            return try read(Array(CommerceMLWriter.orders([.init(order: order, day: "2026-01-31")], at: .now()).utf8))
                .documents[0]
        }
        let taxed = try document([
            line("двадцать", "20", 120_000), line("без", nil, 5000), line("десять", "10", 11_000),
        ])
        let tax = try #require(taxed.first("Налоги")?.first("Налог"))
        #expect(
            tax.value("Наименование") == "НДС" && tax.value("УчтеноВСумме") == "true" && tax.value("Сумма") == "210.00")
        let goods = try #require(taxed.first("Товары")?.all("Товар"))
        #expect(goods.map { $0.value("Наименование") } == ["без", "двадцать", "десять"])
        #expect(goods.map { $0.first("СтавкиНалогов") != nil } == [false, true, true])
        #expect(try document([line("без", nil, 5000)]).first("Налоги") == nil)
    }

    @Test func whatWeWriteWeCanRead() throws {
        let line = OrderLine(
            sku: "A&B", name: "Станок <новый>\u{1}", quantity: try #require(Quantity("1.5")),
            price: try #require(Quantity("10")), unit: "кг.", vat: nil, discount: nil,
            sum: Money(minor: 1500, currency: .rub))
        let order = OrderRequested(
            orderId: .make(), number: "12", kind: "goods", base: "ut", organization: "ooo", dealId: .make(),
            currency: .rub, total: Money(minor: 1500, currency: .rub), lines: [line],
            counterparty: Counterparty(
                id: .make(), name: "ООО «Ромашка»", isFirm: true, inn: "7707083893", kpp: "770701001",
                phone: nil, email: nil), slice: Slice())
        let xml = CommerceMLWriter.orders([.init(order: order, day: "2026-01-31")], at: .now())
        let reader = try read(Array(xml.utf8))
        let document = reader.documents[0]
        #expect(document.value("ХозОперация") == "Заказ товара" && document.value("Валюта") == "RUB")
        #expect(document.first("Товары")?.first("Товар")?.value("Наименование") == "Станок <новый>")
        #expect(
            document.value("Дата") == "2026-01-31" && xml.contains("Код=\"166\" НаименованиеПолное=\"Килограмм\">кг.<"))
        #expect(xml.hasPrefix("<?xml"), "1C looks at the first bytes")
    }
}
