import Contracts
import Foundation
import Primitives
import Testing
import XMLStream

@testable import AccountingBridge

@Suite("Messages of EnterpriseData") struct EnterpriseDataTests {
    private static let order = "0197c6a0-0000-7000-8000-000000000001"
    private static let other = "0197c6a0-0000-7000-8000-000000000002"

    private func head(_ change: (inout EnterpriseHeader) -> Void = { _ in }) -> EnterpriseHeader {
        var header = EnterpriseHeader()
        header.format = EnterpriseHeader.namespace + "/1.8"
        (header.plan, header.to, header.from) = (EnterpriseHeader.plan, "TL", "УТ")
        (header.messageNo, header.receivedNo, header.versions) = (7, 3, ["1.8", "1.10"])
        header.created = "2026-01-31T09:05:00Z"
        (header.sends, header.takes) = (EnterpriseKind.sent, EnterpriseKind.taken)
        change(&header)
        return header
    }

    private func message(_ body: String?) -> [UInt8] { Array(head().message(body: body).utf8) }

    private func words(_ bytes: [UInt8]) -> String {
        do {
            _ = try EnterpriseMessageReader.read(bytes)
            return ""
        } catch { return (error as? XMLRefusal)?.reason ?? "\(error)" }
    }

    private func state(_ kind: String, _ xml: String, currency: Currency = .rub) -> Result<OrderReport, DriverFailure> {
        let id = ID(Self.order) ?? .make()
        let state = EnterpriseOrderState(order: id, number: "17", currency: currency, tellsPayments: true)
        return state.report([.init(id: kind == "order" ? id : .make(), kind: kind, xml: xml, isGone: false)])
    }

    @Test func whatIsWrittenIsReadAsItWas() throws {
        let read = try EnterpriseMessageReader.read(message("<Справочник.Банки/>"))
        #expect(read.header == head() && read.passedOver == 1 && read.told.isEmpty)
        #expect(try EnterpriseMessageReader.read(message(nil)).header?.messageNo == 7)
    }

    @Test func theHighestVersionThatBothKnowIsChosenByItsNumber() {
        #expect(EnterpriseHeader.common(["1.9", "1.10", "1.2"]) == "1.10")
        #expect(EnterpriseHeader.common(["1.99", "2.1"]) == nil && EnterpriseHeader.common([]) == nil)
    }

    @Test func aMessageForSomebodyElseIsNamed() {
        #expect(head().foreign(node: "TL", peer: "УТ") == nil)
        #expect(head { $0.format = EnterpriseHeader.namespace }.foreign(node: "TL", peer: "УТ") == nil)
        #expect(head().foreign(node: "TL", peer: "БП")?.contains("из узла «УТ»") == true)
        #expect(head { $0.plan = "Полный" }.foreign(node: "TL", peer: "УТ")?.contains("план обмена «Полный»") == true)
        #expect(head { $0.format = "http://x" }.foreign(node: "TL", peer: "УТ")?.contains("не EnterpriseData") == true)
    }

    @Test func whatIsNoMessageIsRefusedByName() {
        #expect(words(Array("<Почта/>".utf8)).contains("корень файла «Почта»"))
        #expect(words(Array("<Message/>".utf8)) == "в сообщении нет заголовка")
        #expect(words(Array("<Message><Header/></Message>".utf8)).contains("нет Confirmation"))
        let negative = String(decoding: message(nil), as: UTF8.self).replacing(
            "<msg:MessageNo>7", with: "<msg:MessageNo>-7")
        #expect(words(Array(negative.utf8)).contains("MessageNo «-7»"))
        #expect(words([UInt8](repeating: 32, count: EnterpriseMessageReader.sizeLimit + 1)).contains("больше"))
        let far = String(decoding: message(nil), as: UTF8.self).replacing(
            "<msg:ReceivedNo>3", with: "<msg:ReceivedNo>9223372036854775807")
        #expect(words(Array(far.utf8)).contains("не число от 0 до 1000000000000"))
    }

    @Test func oneObjectThatIsTooLargeKeepsNoOtherAway() throws {
        let large =
            "<Документ.ЗаказКлиента>\(String(repeating: "я", count: EnterpriseMessageReader.recordLimit))</Документ.ЗаказКлиента>"
        let other =
            "<Справочник.Файлы>\(String(repeating: "я", count: EnterpriseMessageReader.recordLimit))</Справочник.Файлы>"
        let card =
            "<Справочник.Контрагенты><КлючевыеСвойства><Ссылка>1</Ссылка><Наименование>Ромашка</Наименование></КлючевыеСвойства></Справочник.Контрагенты>"
        let read = try EnterpriseMessageReader.read(message(large + other + card))
        #expect(
            read.refused.count == 1 && read.refused[0].contains("больше \(EnterpriseMessageReader.recordLimit) байт"))
        #expect(read.passedOver == 1 && read.cards.map(\.name) == ["Ромашка"] && read.told.isEmpty)
    }

    @Test func theOrdersThatADocumentNamesAreFoundInWhateverField() throws {
        let body = """
            <Документ.ПБДСРасчетыСКонтрагентами><КлючевыеСвойства><Ссылка>\(ID.make())</Ссылка></КлючевыеСвойства><РасшифровкаПлатежа>
            <Строка><Заказ><ЗаказКлиента><Ссылка>\(Self.order)</Ссылка></ЗаказКлиента></Заказ></Строка>
            <Строка><ЗаказКлиента><КлючевыеСвойства><Ссылка>\(Self.other)</Ссылка></КлючевыеСвойства></ЗаказКлиента></Строка>
            </РасшифровкаПлатежа></Документ.ПБДСРасчетыСКонтрагентами>
            <УдалениеОбъекта><ОбъектСсылка><Ссылка>\(Self.other)</Ссылка></ОбъектСсылка></УдалениеОбъекта>
            <Документ.СчетПокупателю><КлючевыеСвойства/></Документ.СчетПокупателю>
            """
        let read = try EnterpriseMessageReader.read(message(body))
        #expect(read.told.map(\.kind) == ["payment", "deleted"])
        #expect(read.told[0].orders.map(\.description) == [Self.order, Self.other])
        #expect(read.refused == ["у объекта Документ.СчетПокупателю нет ссылки"])
    }

    private func payment(_ rows: String, _ currency: String = "643") -> String {
        """
        <Документ.ПБДСРасчетыСКонтрагентами><КлючевыеСвойства><Номер>1</Номер></КлючевыеСвойства>
        <Валюта><ДанныеКлассификатора><Код>\(currency)</Код></ДанныеКлассификатора></Валюта>
        <РасшифровкаПлатежа>\(rows)</РасшифровкаПлатежа></Документ.ПБДСРасчетыСКонтрагентами>
        """
    }

    private func row(_ order: String, _ sum: String, settled: String = "643") -> String {
        "<Строка><Заказ><Ссылка>\(order)</Ссылка></Заказ><Сумма>\(sum)</Сумма><СуммаВзаиморасчетов>5</СуммаВзаиморасчетов><ВалютаВзаиморасчетов><Код>\(settled)</Код></ВалютаВзаиморасчетов></Строка>"
    }

    @Test func aPaymentGivesAnOrderTheSumOfItsRows() throws {
        let xml = payment(row(Self.order, "1 000,50") + row(Self.order, "2.25") + row(Self.other, "7"))
        #expect(try state("payment", xml).get().documents.map { $0.amount?.amount } == ["1002.75"])
        // In another currency than the order's: what is settled, in the order's own.
        #expect(
            try state("payment", payment(row(Self.order, "90"), "840")).get().documents.map { $0.amount?.amount } == [
                "5.00"
            ])
    }

    /// The head names one order, rows name others: money is given by rows alone, goods of a row without an order are the head's.
    @Test func noSumIsCountedForTwoOrders() throws {
        func shares(_ kind: String, _ xml: String) throws -> [String: Int?] {
            let element = try XMLElement.read(xml, limit: 10_000)
            let found = EnterpriseOrderState.shares(of: element, kind)
            return Dictionary(uniqueKeysWithValues: found.map { ($0.order.description, $0.rows?.count) })
        }
        let head = "<ДокументОснование><Ссылка>\(Self.order)</Ссылка></ДокументОснование>"
        let both =
            "<Строка><ДокументОснование><Ссылка>\(Self.order)</Ссылка></ДокументОснование><Заказ><Ссылка>\(Self.other)</Ссылка></Заказ></Строка>"
        #expect(
            try shares(
                "payment",
                "<Д>\(head)<РасшифровкаПлатежа>\(row(Self.other, "1"))<Строка><Сумма>2</Сумма></Строка></РасшифровкаПлатежа></Д>"
            )
                == [
                    Self.other: 1
                ])
        #expect(
            try shares(
                "shipment",
                "<Д>\(head)<ЗачетАвансов>\(row(Self.other, "9"))</ЗачетАвансов><Товары>\(row(Self.other, "1"))<Строка><Сумма>2</Сумма></Строка></Товары></Д>"
            ) == [
                Self.other: 1, Self.order: 1,
            ])
        #expect(try shares("payment", "<Д><РасшифровкаПлатежа>\(both)</РасшифровкаПлатежа></Д>") == [Self.other: 1])
        #expect(
            try shares(
                "payment", "<Д>\(head)<РасшифровкаПлатежа><Строка><Сумма>2</Сумма></Строка></РасшифровкаПлатежа></Д>")
                == [Self.order: nil])
        #expect(
            try shares("payment", "<Д><РасшифровкаПлатежа><Строка><Сумма>2</Сумма></Строка></РасшифровкаПлатежа></Д>")
                .isEmpty)
    }

    @Test(arguments: ["сто", "-1", "92233720368547758070", "10000000000000.01"])
    func aSumThatIsNoneIsRefusedAndTheOrderStands(_ sum: String) throws {
        let report = try state("payment", payment(row(Self.order, sum))).get()
        #expect(report.documents.isEmpty && report.refused.count == 1)
    }

    @Test func anOrderInAnotherCurrencyIsNotTaken() {
        let xml = "<Документ.ЗаказКлиента><Сумма>10</Сумма><Валюта><Код>398</Код></Валюта></Документ.ЗаказКлиента>"
        guard case .failure(let failure) = state("order", xml) else { return #expect(Bool(false)) }
        #expect(failure.words.contains("KZT"))
    }

    @Test func noMutatedMessageMakesTheReaderStumble() throws {
        let order = """
            <Документ.ЗаказКлиента><КлючевыеСвойства><Ссылка>\(Self.order)</Ссылка><Номер>УТ-1</Номер></КлючевыеСвойства>
            <Сумма>10.00</Сумма><Контрагент><Ссылка>1</Ссылка><Наименование>Ромашка</Наименование></Контрагент></Документ.ЗаказКлиента>
            """
        try Mutations.run([
            message(
                order
                    + payment(row(Self.order, "10")).replacing("<Номер>", with: "<Ссылка>\(Self.other)</Ссылка><Номер>")
            )
        ]) { bytes in
            guard let read = try? EnterpriseMessageReader.read(bytes) else { return #expect(!words(bytes).isEmpty) }
            for told in read.told where told.kind != "deleted" {
                if case .failure(let failure) = state(told.kind, told.xml) { #expect(!failure.words.isEmpty) }
            }
        }
    }
}
