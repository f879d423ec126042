import Contracts
import Primitives
import Testing

@testable import AccountingBridge

@Suite("Who wrote an object of a base") struct ODataVersionsTests {
    private let versions: ODataVersions
    init() throws { versions = ODataVersions(versions: try #require(try ODataMappings.load("ut11").versions)) }

    private static let key = "01890a5d-ac96-774b-bcce-b302099a8057"
    private static let user = "11111111-2222-4333-8444-555555555555"
    /// The versions of Friday are asked for, so that what is older than Thursday noon is not.
    private var object: ODataVersions.Object {
        ODataVersions.Object(
            key: Self.key, entities: ["Document_A", "Document_B"], since: Timestamp(milliseconds: 1_795_780_800_000),
            until: Timestamp(milliseconds: 1_795_784_400_000))
    }

    private func row(
        _ number: RawJSON, _ at: String, author: String = user, of kind: String = "StandardODATA.Catalog_Пользователи",
        came how: String = "ИзмененоПользователем"
    ) -> RawJSON {
        .object([
            "Объект": .string(Self.key), "НомерВерсии": number, "ДатаВерсии": .string(at),
            "АвторВерсии": .string(author), "АвторВерсии_Type": .string(kind), "ТипВерсииОбъекта": .string(how),
        ])
    }

    private func newest(_ rows: RawJSON...) -> ODataVersions.Version? {
        versions.newest(rows, of: object)
    }

    @Test func anObjectIsAskedForAsEachKindThatItMayBe() {
        #expect(
            versions.filter([object])
                == "(Объект eq cast(guid'\(Self.key)', 'Document_A') or Объект eq cast(guid'\(Self.key)', 'Document_B'))"
                + " and ДатаВерсии ge datetime'2026-11-26T12:00:00'")
    }

    @Test func theHighestNumberIsTheNewest() {
        let version = newest(
            row(.int(2), "2026-11-27T10:00:00"), row(.string("10"), "2026-11-27T11:00:00"),
            row(.int(9), "2026-11-27T10:30:00"))
        #expect(version?.number == 10 && version?.at == "2026-11-27T11:00:00")
        #expect(version?.author == .init(entity: "Catalog_Пользователи", key: Self.user))
    }

    @Test func whatTheBaseDidNotTakeOrWhatIsOlderIsNoChange() {
        #expect(newest(row(.int(1), "2026-11-27T10:00:00", came: "НепринятыеДанныеПоКоллизии")) == nil)
        #expect(newest(row(.int(1), "2026-11-26T11:59:59")) == nil)
        #expect(newest(row(.int(1), "2026-11-26T12:00:00")) != nil)
        // Of a change that was told on Friday a version of Sunday is another one.
        #expect(newest(row(.int(1), "2026-11-27T14:00:00"), row(.int(2), "2026-11-29T10:00:00"))?.number == 1)
    }

    @Test(arguments: ["", "вчера", "2026-11-27", "9999"])
    func aVersionWithoutATimeIsNone(_ at: String) {
        #expect(newest(row(.int(1), at)) == nil)
    }

    @Test func anAuthorIsAUserOrANodeAndNothingElse() {
        func author(_ key: String, _ kind: String) -> ODataVersions.Author? {
            newest(row(.int(1), "2026-11-27T10:00:00", author: key, of: kind))?.author
        }
        #expect(author(Self.user, "StandardODATA.ExchangePlan_Обмен") != nil)
        #expect(author("00000000-0000-0000-0000-000000000000", "StandardODATA.Catalog_Пользователи") == nil)
        #expect(author(Self.user, "StandardODATA.Undefined") == nil)
        #expect(author(Self.user, "StandardODATA.Catalog_X/../Document_Y") == nil)
        #expect(author("Петрова", "StandardODATA.Catalog_Пользователи") == nil)
    }

    @Test func mutatedRowsAreReadOrPassedOver() throws {
        let good = try JSON.encode(RawJSON.object(["value": .array([row(.int(1), "2026-11-27T10:00:00")])]))
        try Mutations.run([Array(good)]) { bytes in
            let rows = try ODataRows.told(by: bytes)
            if let version = versions.newest(rows, of: object) { #expect(version.at.count == 19) }
        }
    }
}
