import Contracts
import Curl
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

@Suite("What a base says over OData") struct ODataTests {
    private let mapping: ODataMapping
    init() throws { mapping = try ODataMappings.load("ut11") }

    private func answer(
        _ status: Int, _ body: String, _ type: String = "application/json;charset=utf-8", write: Bool = false
    ) -> String {
        do {
            let response = HTTPClient.Response(
                status: status, headers: [("content-type", type)], body: Array(body.utf8))
            switch try ODataAnswer(response, isWrite: write).judged {
            case .data: return "data"
            case .noSuchEntity: return "none"
            case .exists: return "exists"
            }
        } catch let failure as DriverFailure {
            switch failure {
            case .away: return "away"
            case .doubtful: return "doubtful"
            case .refused(let why): return "refused \(why)"
            case .unfit: return "unfit"
            }
        } catch { return "\(error)" }
    }
    private func error(_ code: String, _ text: String = "текст") -> String {
        #"{"odata.error":{"code":"\#(code)","message":{"lang":"ru","value":"\#(text)"}}}"#
    }

    @Test func refusalsOutagesAndDoubtAreToldApart() {
        #expect(answer(200, #"{"value":[]}"#) == "data" && answer(201, "{}", write: true) == "data")
        #expect(answer(204, "", write: true) == "data")
        #expect(answer(500, error("-1", "Период закрыт"), write: true) == "refused Период закрыт")
        #expect(answer(400, error("4"), write: true) == "refused текст (код 4)")
        #expect(answer(404, error("9")) == "none" && answer(400, error("15"), write: true) == "exists")
        #expect(answer(500, error("15"), write: true) == "exists")
        #expect(answer(404, error("8")) == "unfit" && answer(400, error("10")) == "unfit")
        #expect(answer(401, "") == "unfit" && answer(404, "") == "unfit")
        #expect(
            answer(200, "<html>", "text/html") == "away"
                && answer(200, "<html>", "text/html", write: true) == "doubtful")
        #expect(answer(200, #"{"value":[{"#) == "away" && answer(201, #"{"Ref_"#, write: true) == "doubtful")
        #expect(answer(503, "") == "away" && answer(503, "", write: true) == "away")
        #expect(answer(502, "", write: true) == "doubtful" && answer(500, "") == "away")
        #expect(answer(500, "", write: true) == "doubtful")
        #expect(answer(500, "<html>Не обнаружено свободной лицензии!</html>", "text/html", write: true) == "away")
    }

    @Test func theDescriptionIsReadInPiecesAndWhatIsMissingIsNamed() throws {
        var text = #"<?xml version="1.0"?><edmx:Edmx xmlns:edmx="x"><edmx:DataServices><Schema>"#
        for (entity, fields) in mapping.needed.sorted(by: { $0.key < $1.key }) where entity != mapping.good.entity {
            let known = fields.filter { $0 != "ИНН" }.map { #"<Property Name="\#($0)" Type="Edm.String"/>"# }
            text += #"<EntityType Name="\#(entity)">\#(known.joined())</EntityType>"#
            text += #"<EntityType Name="Catalog_Прочее"><Property Name="Лишнее"/></EntityType>"#
        }
        text += "</Schema></edmx:DataServices></edmx:Edmx>"
        let bytes = Array(text.utf8)
        for size in [1, 1000, bytes.count] {
            let reader = ODataMetadataReader(mapping.entities)
            let xml = XMLReader(reader)
            for start in stride(from: 0, to: bytes.count, by: size) {
                try xml.feed(Array(bytes[start..<min(bytes.count, start + size)]))
            }
            try xml.finish()
            #expect(reader.metadata.fields["Catalog_Прочее"] == nil)
            let missing = ODataMapping.missing(mapping.needed, in: reader.metadata)
            let wanted = [
                "у объекта Catalog_Контрагенты нет поля ИНН", "нет объекта Catalog_Номенклатура",
                "у объекта Catalog_Организации нет поля ИНН",
            ]
            #expect(missing == wanted)
        }
    }

    @Test(.enabled(if: Samples.exist, "no sample files beside the repository"))
    func everySampleOfADescriptionIsRead() throws {
        var found: [String: Int] = [:]
        let wanted: Set = [
            "Catalog_Номенклатура", "Catalog_Номенклатура_Артикулы", "Document_РТУ", "Catalog_Контрагенты",
        ]
        for file in try FileManager.default.contentsOfDirectory(atPath: Samples.folder.appending(path: "odata").path) {
            let reader = ODataMetadataReader(wanted)
            let xml = XMLReader(reader)
            try xml.feed(try Samples.bytes("odata/\(file)"))
            try xml.finish()
            for (entity, fields) in reader.metadata.fields { found[entity, default: 0] += fields.count }
        }
        #expect(found["Catalog_Номенклатура_Артикулы"] == 3 && found["Document_РТУ"] == 10)
    }

    private static let key = "01890a5d-ac96-774b-bcce-b302099a8057"
    private var asked: AskedOrder { AskedOrder(id: ID(Self.key)!, number: "17", onecId: nil, currency: .rub) }
    private func row(_ json: String) throws -> RawJSON { try JSON.decode(RawJSON.self, from: json.utf8) }

    @Test func whatStandsForAnOrderIsTakenForIt() throws {
        let part = try #require(mapping.documents.first { $0.isSettled == true })
        let returned = try #require(mapping.documents.first { $0.through != nil })
        let state = ODataOrderState(mapping: mapping)
        #expect(
            state.filter(part, orders: ["a"]) == "РасшифровкаПлатежа/any(d: d/ОбъектРасчетов_Key eq guid'a')")
        let shipped = "Document_РеализацияТоваровУслуг"
        #expect(state.filter(returned, orders: ["a"]) == "ДокументРеализации eq cast(guid'a', '\(shipped)')")
        let rows = [
            try row(
                #"{"Ref_Key":"p1","Number":"1","РасшифровкаПлатежа":[{"ОбъектРасчетов_Key":"o1","Сумма":7},{"ОбъектРасчетов_Key":"o2","Сумма":5}]}"#
            )
        ]
        let told = state.documents(part, rows, [Self.key: .rub], settled: ["o1": Self.key, "o3": "another"])
        #expect(try told.mapValues { try $0.map { try $0.get().amount } } == [Self.key: [Money("7.00", .rub)]])
    }

    @Test func rowsOfOneOrderInOneDocumentAreOneSum() throws {
        let mapping = try ODataMappings.load("ut114")
        let part = try #require(mapping.documents.first { $0.kind == "payment" })
        let state = ODataOrderState(mapping: mapping)
        let rows = [
            try row(
                #"{"Ref_Key":"p1","Number":"  БП-1 ","НомерВходящегоДокумента":"77","Date":"2026-11-20T10:00:00","Posted":true,"#
                    + #""РасшифровкаПлатежа":[{"Заказ":"\#(Self.key)","Сумма":0.1},{"Заказ":"\#(Self.key)","Сумма":1500.55},"#
                    + #"{"Заказ":"other","Сумма":5}]}"#),
            try row(#"{"Ref_Key":"p2","Number":"2","РасшифровкаПлатежа":[{"Заказ":"\#(Self.key)","Сумма":"много"}]}"#),
        ]
        let told = state.documents(part, rows, [Self.key: .rub])
        let order = try row(#"{"Ref_Key":"\#(Self.key)","Number":"УТ-5","СуммаДокумента":2000,"Posted":true}"#)
        let report = try state.report(asked, order, told[Self.key] ?? [], tellsPayments: true).get()
        #expect(told.count == 1 && report.total == Money("2000.00", .rub) && report.onecNumber == "УТ-5")
        let payment = ReportedDocument(
            kind: "payment", onecId: "p1", number: "77", date: "2026-11-20", amount: Money("1500.65", .rub),
            posted: true,
            cancelled: false)
        #expect(report.documents == [payment])
        #expect(report.refused.count == 1 && report.refused[0].contains("сумма (Сумма) не читается"))
        #expect(throws: DriverFailure.self) { try state.report(asked, nil, [], tellsPayments: true).get() }
    }

    @Test func questionsNameTheKindOfWhatMayBeAnything() throws {
        let mapping = try ODataMappings.load("ut114")
        let state = ODataOrderState(mapping: mapping)
        let payment = try #require(mapping.documents.first { $0.kind == "payment" })
        let filter =
            "РасшифровкаПлатежа/any(d: d/Заказ eq cast(guid'a', 'Document_ЗаказКлиента') or d/Заказ eq cast(guid'b', 'Document_ЗаказКлиента'))"
        #expect(state.filter(payment, orders: ["a", "b"]) == filter)
        #expect(ODataDriver.literal("ООО 'Ромашка'") == "'ООО ''Ромашка'''")
        #expect(ODataClient.encoded("Ref_Key eq guid'a' & Я") == "Ref_Key%20eq%20guid'a'%20%26%20%D0%AF")
    }

    @Test(arguments: ["ut11", "ut114", "unf", "bp3"])
    func builtInMappingsAreWhole(_ name: String) throws {
        let mapping = try ODataMappings.load(name)
        let kinds = Set(mapping.documents.map(\.kind))
        #expect(mapping.name == name && kinds.isSuperset(of: ["payment", "shipment"]))
    }

    @Test func aWrongMappingIsRefusedByItsField() {
        #expect(throws: (any Error).self) { try ODataMappings.load("/nowhere/mapping.yaml") }
        do {
            _ = try ODataMappings.read("name: x\ntitle: x\nversion: 1\norder: { entity: A }", named: "x")
            Issue.record("it was taken")
        } catch { #expect("\(error)".contains("order.counterparty is missing"), "\(error)") }
    }

    @Test(arguments: [
        (
            "settlements: { entity: Catalog_ОбъектыРасчетов, order: Объект, orderIsAnyOf: true }", "",
            "settlements is missing"
        ),
        ("through: Document_РеализацияТоваровУслуг", "through: Document_Другой", "which does not stand before it"),
        ("СуммаСНДС: Сумма", "СуммаСНДС: Итого", "СуммаСНДС repeats Итого"),
    ])
    func aMappingThatWouldLeaveSomethingUnreadIsRefused(_ what: String, _ other: String, _ reason: String) throws {
        let text = String(decoding: try Data(contentsOf: Self.ut11), as: UTF8.self)
        #expect(text.contains(what))
        do {
            _ = try ODataMappings.read(text.replacing(what, with: other), named: "x")
            Issue.record("it was taken")
        } catch { #expect("\(error)".contains(reason), "\(error)") }
    }
    private static let ut11 = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../Services/accounting-bridge/Mappings/ut11.yaml")

    @Test func mutatedAnswersAndDescriptionsAreReadOrRefusedByName() throws {
        let part = try #require(mapping.documents.first { $0.kind == "payment" })
        let state = ODataOrderState(mapping: mapping)
        let good =
            #"{"value":[{"Ref_Key":"\#(Self.key)","Number":"1","СуммаДокумента":10.5,"Date":"2026-11-20T00:00:00","#
            + #""РасшифровкаПлатежа":[{"Заказ":"\#(Self.key)","Сумма":1e3}]}]}"#
        try Mutations.run([Array(good.utf8), Array(error("-1").utf8)]) { bytes in
            do {
                let response = HTTPClient.Response(
                    status: 200, headers: [("content-type", "application/json")], body: bytes)
                guard case .data(let json) = try ODataAnswer(response, isWrite: false).judged,
                    case .array(let rows)? = json["value"]
                else { return }
                let told = state.documents(part, rows, [Self.key: .rub])
                _ = state.report(asked, rows.first, told[Self.key] ?? [], tellsPayments: true)
            } catch let failure as DriverFailure { #expect(!failure.words.isEmpty) }
        }
        let description =
            #"<?xml version="1.0"?><Edmx><Schema><EntityType Name="Document_ЗаказКлиента"><Property Name="Ref_Key"/></EntityType></Schema></Edmx>"#
        try Mutations.run([Array(description.utf8)]) { bytes in
            do {
                let xml = XMLReader(ODataMetadataReader(mapping.entities))
                try xml.feed(bytes)
                try xml.finish()
            } catch let refusal as XMLRefusal { #expect(!refusal.reason.isEmpty) }
        }
    }
}

@Suite("Links into 1C") struct NavigationLinkTests {
    @Test func theReferenceIsTheKeyWithItsGroupsInAnotherOrder() {
        let key = "01234567-89ab-cdef-0123-456789abcdef"
        let link =
            "https://1c/ut/#e1cib/data/%D0%94%D0%BE%D0%BA%D1%83%D0%BC%D0%B5%D0%BD%D1%82.X?ref=0123456789abcdefcdef89ab01234567"
        #expect(ODataDriver.navigationLink("https://1c/ut", "Document_X", key) == link)
        #expect(ODataDriver.navigationLink("https://1c/ut", "Document_X", "17") == nil)
        #expect(ODataDriver.navigationLink("https://1c/ut", "Constant_X", key) == nil)
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
