import Contracts
import Curl
import Foundation
import Primitives
import Testing
import XMLStream

@testable import AccountingBridge

/// What an answer with these bytes tells; nothing where it is refused by name.
enum ODataRows {
    static func told(by bytes: [UInt8]) throws -> [RawJSON] {
        let response = HTTPClient.Response(
            status: 200, headers: [("content-type", "application/json")], body: bytes)
        do {
            guard case .data(let json) = try ODataAnswer(response, isWrite: false).judged,
                case .array(let rows)? = json["value"]
            else { return [] }
            return rows
        } catch let failure as DriverFailure {
            #expect(!failure.words.isEmpty)
            return []
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
        let told = state.documents(
            part, rows, [Self.key: .rub], settled: ["o1": .init(orders: [Self.key]), "o3": .init(orders: ["another"])])
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
        (
            "through: Document_РеализацияТоваровУслуг", "through: Document_РасходныйКассовыйОрдер",
            "which is optional"
        ),
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
            + #""РасшифровкаПлатежа":[{"ОбъектРасчетов_Key":"\#(Self.key)","Сумма":1e3}]}]}"#
        // What is mutated is read at all.
        #expect(
            state.documents(
                part, try ODataRows.told(by: Array(good.utf8)), [Self.key: .rub],
                settled: [Self.key: .init(orders: [Self.key])]
            )
            .count == 1)
        try Mutations.run([Array(good.utf8), Array(error("-1").utf8)]) { bytes in
            let rows = try ODataRows.told(by: bytes)
            let told = state.documents(part, rows, [Self.key: .rub], settled: [Self.key: .init(orders: [Self.key])])
            _ = state.report(asked, rows.first, told[Self.key] ?? [], tellsPayments: true)
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
