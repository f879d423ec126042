import Contracts
import Foundation
import Primitives
import Testing
import XMLStream

@testable import AccountingBridge

@Suite("When a system may be talked to") struct SendingGateTests {
    private let start = Timestamp(milliseconds: 1_700_000_000_000)
    private struct Dice: RandomNumberGenerator {
        mutating func next() -> UInt64 { .max }
    }

    @Test func theBreakerOpensForEverLongerAndOneAnswerClosesIt() {
        var (gate, dice) = (SendingGate(ratePerMinute: 60), Dice())
        var pauses: [Double] = []
        for attempt in 1...12 {
            #expect(gate.failed(start, using: &dice) == (attempt >= SendingGate.alarmAfter))
            guard case .wait(let seconds) = gate.mayTalk(start) else { return #expect(Bool(false)) }
            pauses.append(seconds.rounded())
        }
        #expect(pauses.prefix(5) == [1, 2, 4, 8, 16] && pauses.last == SendingGate.longestPause)
        #expect(gate.mayTalk(start.adding(seconds: 301)) == .go, "one attempt tells")
        #expect(gate.drain(5, seconds: 1) == nil, "nobody can say")
        gate.answered()
        #expect(gate.mayTalk(start) == .go && gate.failures == 0)
    }

    @Test func ordersKeepTheirRateAndQuietHours() {
        var gate = SendingGate(ratePerMinute: 30, quiet: DayHours("22:00-07:00"))
        #expect(gate.maySend(start, clock: "12:00") == .go)
        gate.sent(start)
        #expect(gate.maySend(start.adding(seconds: 0.5), clock: "12:00") == .wait(1.5))
        #expect(gate.maySend(start.adding(seconds: 2), clock: "12:00") == .go)
        for clock in ["22:00", "23:59", "00:00", "06:59"] {
            #expect(gate.maySend(start.adding(seconds: 5), clock: clock) != .go)
        }
        #expect(gate.maySend(start.adding(seconds: 5), clock: "07:00") == .go)
        #expect(gate.mayTalk(start) == .go, "reading goes on in quiet hours")
        #expect(
            gate.drain(10, seconds: 0.1) == 20 && gate.drain(10, seconds: 3) == 30 && gate.drain(0, seconds: nil) == 0)
    }

    @Test(arguments: [
        "", "22:00", "22:00-", "24:00-07:00", "7:00-08:00", "07:00-07:00", "07:60-08:00", "aa:bb-cc:dd", "٠٧:00-08:00",
    ])
    func whatAreNoHoursIsRefused(_ text: String) { #expect(DayHours(text) == nil) }
}

@Suite("Files of the folder exchange") struct FolderFormatTests {
    private func reports(_ text: String, _ name: String = "a.json") throws -> [FolderFormat.Heard] {
        try FolderFormat.reports(Array(text.utf8), named: name, fallback: .rub)
    }
    private func words(_ text: String, _ name: String = "a.json") -> String {
        do {
            let heard = try reports(text, name)
            return heard.map { one in
                switch one.result {
                case .success(let report): report.refused.first ?? "understood"
                case .failure(let failure): failure.words
                }
            }.joined(separator: " | ")
        } catch let failure as DriverFailure { return failure.words } catch { return "\(error)" }
    }

    @Test func aReportIsReadWithAllItTells() throws {
        let json = """
            \u{FEFF}{"orders":[{"number":17,"id":"g1","systemNumber":"A-17","total":"1 000,50","currency":"руб","posted":true,"dueDate":"31.12.2026",
            "status":"В работе","documents":[{"kind":"payment","id":"p1","number":5,"date":"2026-11-20T10:00:00","amount":"300.00"},
            {"kind":"refund","id":"r1","amount":"1","currency":"USD","posted":false},{"kind":"shipment","id":"s1","cancelled":true}]}]}
            """
        let report = try reports(json)[0].result.get()
        #expect(report.number == "17" && report.onecNumber == "A-17" && report.total == Money("1000.50", .rub))
        #expect(
            report.dueDate == "2026-12-31" && report.statusText == "В работе" && report.tellsPayments
                && report.posted == true)
        #expect(report.documents.map(\.kind) == ["payment", "refund", "shipment"])
        #expect(report.documents[0].date == "2026-11-20" && report.documents[0].number == "5")
        #expect(report.documents[1].amount == Money("1.00", Currency("USD")!) && !report.documents[1].posted)
        #expect(report.documents[2].amount == nil && report.documents[2].cancelled)
    }

    @Test func theSameAsATableWithRussianWords() throws {
        let table =
            "Заказ;Запись;Ид;Номер;Дата;Сумма;Валюта;Проведен;Отменен\r\n"
            + "17;Заказ;g1;A-17;;\"1 000,50\";руб;да;\r\n17;Оплата;p1;5;20.11.2026;300,00;;нет;\r\n\r\n18;Отказ;;;;;;;\r\n"
        for bytes in [Array(table.utf8), try #require(table.data(using: .windowsCP1251)).map { $0 }] {
            let heard = try FolderFormat.reports(bytes, named: "A.CSV", fallback: .rub)
            let report = try heard[0].result.get()
            #expect(
                heard.map(\.number) == ["17", "18"] && report.onecNumber == "A-17"
                    && report.total == Money("1000.50", .rub))
            #expect(
                report.documents == [
                    ReportedDocument(
                        kind: "payment", onecId: "p1", number: "5", date: "2026-11-20", amount: Money("300.00", .rub),
                        posted: false, cancelled: false)
                ])
            #expect(try heard[1].result.get().rejection == "без причины")
        }
    }

    @Test(arguments: [
        ("", "это не JSON со списком orders"), ("[]", "это не JSON"), ("{\"orders\":5}", "поле orders не того вида"),
        ("{\"orders\":[5]}", "заказ должен быть объектом"), ("{\"orders\":[{}]}", "у заказа нет номера"),
        ("{\"orders\":[{\"number\":\"1\",\"total\":10.5}]}", "поле total должно быть текстом"),
        ("{\"orders\":[{\"number\":\"1\",\"total\":\"сто\"}]}", "сумма «сто» (total) не читается"),
        ("{\"orders\":[{\"number\":\"1\",\"currency\":\"фантик\"}]}", "валюта «фантик» неизвестна"),
        ("{\"orders\":[{\"number\":\"1\",\"documents\":{}}]}", "documents должен быть списком"),
        ("{\"orders\":[{\"number\":\"1\",\"documents\":[{\"kind\":\"gift\",\"id\":\"a\"}]}]}", "вид «gift» неизвестен"),
        ("{\"orders\":[{\"number\":\"1\",\"documents\":[{\"kind\":\"payment\",\"id\":\"a\"}]}]}", "нет суммы"),
        ("{\"orders\":[{\"number\":\"1\",\"documents\":[{\"kind\":\"payment\",\"amount\":\"1\"}]}]}", "нет id"),
        (
            "{\"orders\":[{\"number\":\"1\",\"documents\":[{\"kind\":\"payment\",\"id\":\"a\",\"amount\":\"-1\"}]}]}",
            "меньше нуля"
        ),
        ("{\"orders\":[{\"number\":\"1\",\"dueDate\":\"завтра\"}]}", "дата «завтра» не читается"),
    ])
    func whatIsWrongIsNamed(_ text: String, _ reason: String) {
        #expect(words(text).contains(reason), "\(words(text))")
    }

    @Test(arguments: [
        ("", "файл пуст"), ("a;b\n1;2", "нет столбца order"),
        ("order;record\n1;танец", "строка 2: запись «танец» неизвестна"),
        ("order;record\n;Заказ", "строка 2: нет номера заказа"),
        ("order;record\n1;Заказ;лишнее", "строка 2: полей больше"),
        ("order;record\n1;\"Заказ", "строка 2: кавычки не закрыты"), ("order;record\n1;\"Заказ\"x", "лишний текст"),
    ])
    func whatIsWrongInATableIsNamedByItsLine(_ text: String, _ reason: String) {
        #expect(words(text, "a.csv").contains(reason), "\(words(text, "a.csv"))")
    }

    @Test func whatIsWrittenIsReadBack() throws {
        let rows = [["a;b", "\"q\"", "два\r\nслова", ""], ["", "x,y", "\t", "конец"]]
        #expect(try CSV.read("h1;h2;h3;h4\r\n" + CSV.write(rows)).dropFirst().map(\.fields) == rows)
        #expect(try CSV.read("a,b\n1,2\n").map(\.fields) == [["a", "b"], ["1", "2"]])
    }

    @Test func everyLimitIsKept() {
        let many = Array(repeating: #"{"number":"1"}"#, count: FolderFormat.orderLimit + 1).joined(separator: ",")
        #expect(words("{\"orders\":[\(many)]}").contains("больше \(FolderFormat.orderLimit) заказов"))
        let document = #"{"kind":"payment","id":"a","amount":"1"}"#
        let documents = Array(repeating: document, count: FolderOrder.documentLimit + 1).joined(separator: ",")
        let laden = #"{"orders":[{"number":"1","documents":[\#(documents)]},{"number":"2"}]}"#
        #expect(
            words(laden) == "у заказа больше \(FolderOrder.documentLimit) документов | understood", "the others pass")
        let long = String(repeating: "9", count: OrderReport.numberLimit + 1)
        #expect(words(#"{"orders":[{"number":"\#(long)"}]}"#).contains("номер заказа длиннее"))
        #expect(
            words("order" + String(repeating: ";x", count: CSV.fieldLimit), "a.csv").contains(
                "больше \(CSV.fieldLimit) полей"))
        let huge = [UInt8](repeating: 32, count: FolderFormat.sizeLimit + 1)
        #expect(throws: DriverFailure.refused("файл больше \(FolderFormat.sizeLimit) байт")) {
            try FolderFormat.reports(huge, named: "a.json", fallback: .rub)
        }
        #expect(words(String(repeating: "[", count: 100_000)).contains("это не JSON"))
        let nul = "{\"orders\":[{\"number\":\"1\\u0000\",\"status\":\"a\\u0000b\"}]}"
        #expect((try? reports(nul)[0].result.get().statusText) == "ab", "PostgreSQL has no such character")
    }

    @Test func mutatedReportsAreReadOrRefusedByName() throws {
        let json = #"{"orders":[{"number":17,"total":"10.00","documents":[{"kind":"payment","id":"p","amount":"1"}]}]}"#
        let table = "Заказ;Запись;Ид;Номер;Сумма\r\n17;Заказ;\"a\"\"b\";1;10,00\r\n17;Оплата;p;2;5\r\n"
        for (name, seed) in [("a.json", json), ("a.csv", table)] {
            try Mutations.run([Array(seed.utf8)]) { bytes in
                do {
                    for one in try FolderFormat.reports(bytes, named: name, fallback: .rub) {
                        if case .failure(let failure) = one.result { #expect(!failure.words.isEmpty) }
                    }
                } catch let failure as DriverFailure { #expect(!failure.words.isEmpty) }
            }
        }
    }
}

@Suite("What has changed about documents") struct DocumentChangeTests {
    private func payment(
        _ id: String, _ amount: String, date: String = "2026-11-20", posted: Bool = true, cancelled: Bool = false
    ) -> ReportedDocument {
        ReportedDocument(
            kind: "payment", onecId: id, number: id, date: date, amount: Money(amount, .rub), posted: posted,
            cancelled: cancelled)
    }

    @Test func everyEditIsToldWithWhatWasAndWhatIs() {
        let before = [payment("1", "400.00"), payment("2", "5.00"), payment("3", "7.00")]
        let now = [
            payment("1", "300.00", date: "2026-11-19"), payment("2", "5.00", posted: false),
            payment("3", "7.00", cancelled: true),
            payment("4", "1.00"), payment("5", "1.00", cancelled: true),
        ]
        let words = DocumentChange.between(before, now).map {
            "\($0.onecId): \($0.words.replacing("\u{a0}", with: " "))"
        }
        let wanted = [
            "1: сумма 400,00 ₽ → 300,00 ₽", "1: дата 20.11.2026 → 19.11.2026", "2: проведение отменено",
            "3: отменён или удалён",
            "4: введён",
        ]
        #expect(words == wanted)
        #expect(DocumentChange.between(before, before).isEmpty)
    }

    @Test func whatIsNotToldOfAnOrderHasNotChanged() {
        let before = ToldOrder(total: Money("10.00", .rub), posted: true)
        func words(_ now: ToldOrder) -> [String] {
            DocumentChange.between(before, now, onecId: "1", number: "7").map {
                $0.words.replacing("\u{a0}", with: " ")
            }
        }
        #expect(
            words(ToldOrder(total: Money("12.00", .rub), posted: false, cancelled: true))
                == ["сумма 10,00 ₽ → 12,00 ₽", "проведение отменено", "отменён или удалён"])
        #expect(words(before).isEmpty && words(ToldOrder()).isEmpty)
    }
}
