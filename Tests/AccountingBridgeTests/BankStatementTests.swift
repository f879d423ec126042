import Foundation
import Primitives
import Testing

@testable import AccountingBridge

@Suite struct BankStatementTests {
    /// A statement of one account over one day, as banks write it.
    static func file(
        _ documents: String, received: String = "70000.00", spent: String = "0.00", end: String = "КонецФайла\r\n"
    ) -> String {
        """
        1CClientBankExchange\r
        ВерсияФормата=1.03\r
        Кодировка=Windows\r
        Отправитель=Банк\r
        РасчСчет=40702810200000000001\r
        СекцияРасчСчет\r
        ДатаНачала=31.01.2026\r
        ДатаКонца=31.01.2026\r
        РасчСчет=40702810200000000001\r
        НачальныйОстаток=0\r
        ВсегоПоступило=\(received)\r
        ВсегоСписано=\(spent)\r
        КонецРасчСчет\r
        \(documents)\(end)
        """
    }
    static func income(_ number: String, _ amount: String, _ purpose: String, inn: String = "7707083893") -> String {
        """
        СекцияДокумент=Платежное поручение\r
        Номер=\(number)\r
        Дата=30.01.2026\r
        Сумма=\(amount)\r
        ПлательщикСчет=40702810900000000002\r
        ДатаПоступило=31.01.2026\r
        ПлательщикИНН=\(inn)\r
        Плательщик1=ИНН \(inn) ООО Ромашка\r
        ПолучательСчет=40702810200000000001\r
        НазначениеПлатежа=\(purpose)\r
        КонецДокумента\r

        """
    }

    private func read(_ text: String) throws -> BankStatement { try BankStatement(Array(text.utf8), fallback: .rub) }

    @Test func whatABankWritesIsUnderstood() throws {
        let statement = try read(Self.file(Self.income("17", "70000.00", "Оплата по счету № 17")))
        let document = try #require(statement.documents.first)
        #expect(document.amount.amount == "70000.00" && document.date == "2026-01-31" && document.number == "17")
        #expect(
            document.direction == .income && document.payer.name == "ООО Ромашка" && document.payer.inn == "7707083893")
        #expect(statement.refused.isEmpty && statement.agrees("40702810200000000001") == true)
        #expect(statement.accounts.first?.from == "2026-01-31" && statement.version == "1.03")
    }

    @Test(arguments: ["CP1251", "CP866", "UTF-8", "BOM"])
    func theBytesTellTheEncodingAndNotTheHeader(_ encoding: String) throws {
        let text = Self.file(Self.income("17", "70000.00", "Оплата по счёту № 17 «за станки»"))
        let bytes: [UInt8]
        switch encoding {
        case "CP1251": bytes = Array(try #require(text.data(using: .windowsCP1251)))
        case "CP866": bytes = Self.dos(text)
        case "BOM": bytes = [0xEF, 0xBB, 0xBF] + Array(text.utf8)
        default: bytes = Array(text.utf8)
        }
        let statement = try BankStatement(bytes, fallback: .rub)
        #expect(statement.documents.first?.purpose.hasPrefix("Оплата по счёту № 17") == true)
        #expect(statement.documents.first?.payer.name == "ООО Ромашка")
    }

    /// cp866 by its table: А–п in 80–AF, р–я in E0–EF, ё F1, № FC; it has no quotes of this kind.
    private static func dos(_ text: String) -> [UInt8] {
        text.unicodeScalars.map { scalar in
            switch scalar.value {
            case 0x410...0x43F: UInt8(scalar.value - 0x410 + 0x80)
            case 0x440...0x44F: UInt8(scalar.value - 0x440 + 0xE0)
            case 0x451: 0xF1
            case 0x2116: 0xFC
            case 0xAB, 0xBB: 0x22
            default: UInt8(truncatingIfNeeded: scalar.value)
            }
        }
    }

    @Test func bothSpellingsOfADialectAreRead() throws {
        let lf = Self.file(Self.income("17", "70 000,00", "Оплата")).replacing("\r\n", with: "\n")
        #expect(try read(lf).documents.first?.amount.amount == "70000.00")
        let hyphen = Self.file(Self.income("17", "70000-00", "Оплата"))
        #expect(try read(hyphen).documents.first?.amount.amount == "70000.00")
        let shouting = Self.file(Self.income("17", "70000.00", "Оплата")).replacing("Сумма=", with: " СУММА =")
        #expect(try read(shouting).documents.count == 1)
        let long = Self.file(Self.income("17", "70000.00", "Оплата по счету\r\nномер 17 от 30.01.2026"))
        #expect(try read(long).documents.first?.purpose == "Оплата по счету\nномер 17 от 30.01.2026")
        let parts = Self.file(
            Self.income("17", "70000.00", "").replacing(
                "НазначениеПлатежа=\r\n", with: "НазначениеПлатежа1=Оплата\r\nНазначениеПлатежа2=по счету 17\r\n"))
        #expect(try read(parts).documents.first?.purpose == "Оплата по счету 17")
    }

    @Test func moneyThatWentOutIsToldApart() throws {
        let out = Self.income("8", "500.00", "Возврат")
            .replacing("ПлательщикСчет=40702810900000000002", with: "ПлательщикСчет=40702810200000000001")
            .replacing("ПолучательСчет=40702810200000000001", with: "ПолучательСчет=40702810900000000002")
            .replacing("ДатаПоступило", with: "ДатаСписано")
        let statement = try read(Self.file(out, received: "0", spent: "500.00"))
        #expect(statement.documents.first?.direction == .outgo && statement.agrees("40702810200000000001") == true)
    }

    @Test func whatCannotBeUsedIsNamedWithItsLine() throws {
        let bad = Self.income("1", "много", "Оплата") + Self.income("2", "10.00", "Оплата")
        let statement = try read(Self.file(bad))
        #expect(statement.documents.map(\.number) == ["2"])
        #expect(statement.refused.map(\.line) == [14])
        #expect(statement.refused.first?.reason.contains("сумма «много» не читается") == true)
        let open = Self.income("3", "10.00", "Оплата").replacing("КонецДокумента\r\n", with: "")
        #expect(try read(Self.file(open)).refused.first?.reason.contains("не закрыт") == true)
    }

    @Test(arguments: [
        ("", "первая строка"), ("\n\n", "первая строка"), ("hello", "первая строка"),
        ("1CClientBankExchange\r\nВерсияФормата=1.03\r\n", "обрывается"),
    ])
    func aFileThatIsNoneIsRefusedInWords(_ text: String, _ words: String) {
        let refusal = #expect(throws: StatementRefusal.self) { try read(text) }
        #expect(refusal?.reason.contains(words) == true)
    }

    @Test func sumsThatDoNotFitAreNoAgreementAndNoCrash() throws {
        let huge = String(repeating: Self.income("1", "9999999999999.99", "x"), count: 9300)
        let statement = try read(Self.file(huge, received: "9999999999999.99"))
        #expect(statement.agrees("40702810200000000001") == false && statement.documents.count == 9300)
    }

    @Test func limitsAreKept() {
        let long = Self.file("Ключ=" + String(repeating: "я", count: 50_000) + "\r\n")
        #expect(throws: StatementRefusal.self) { try read(long) }
        #expect(throws: StatementRefusal.self) {
            try BankStatement([UInt8](repeating: 65, count: BankStatement.sizeLimit + 1), fallback: .rub)
        }
    }

    @Test(.enabled(if: Samples.exist, "the sample files are not beside the repository"))
    func realFilesAreReadWhole() throws {
        let windows = try BankStatement(Samples.bytes("bank/kilylabs__one_day.txt"), fallback: .rub)
        let utf8 = try BankStatement(Samples.bytes("bank/kilylabs__one_day_utf8.txt"), fallback: .rub)
        #expect(windows.encoding == .windows1251 && utf8.encoding == .utf8)
        #expect(windows.documents.count == 13 && windows.refused.isEmpty)
        #expect(windows.agrees("40702810200000000001") == true)
        #expect(utf8.documents.map(\.purpose) == windows.documents.map(\.purpose))
    }

    /// Real files with bytes changed, cut, doubled and swapped: every answer is a statement or a refusal in words.
    @Test func mutatedFilesNeverCrashOrHang() throws {
        let seeds = [
            Array(Self.file(Self.income("17", "70000.00", "Оплата по счету № 17")).utf8),
            Array(Self.file(Self.income("1", "1-00", "N5\r\nи 6") + Self.income("2", "2", "х")).utf8),
        ]
        var (read, refused) = (0, 0)
        try Mutations.run(seeds) { bytes in
            do {
                let statement = try BankStatement(bytes, fallback: .rub)
                for document in statement.documents { _ = PaymentMatching.Purpose(document.purpose) }
                read += 1
            } catch let refusal as StatementRefusal {
                #expect(!refusal.reason.isEmpty)
                refused += 1
            }
        }
        #expect(read > 0 && refused > 0)
    }
}

@Suite struct PaymentMatchingTests {
    private static let client = ID.make()

    private func order(
        _ number: String, owed: Int64, inn: String? = "7707083893", onec: String? = nil, counterparty: ID = client,
        organization: String = "ooo", told: [PaymentMatching.Candidate.Told] = []
    ) -> PaymentMatching.Candidate {
        .init(
            id: .make(), number: number, onecNumber: onec, inn: inn, counterparty: counterparty,
            organization: organization, owed: Money(minor: owed, currency: .rub), told: told)
    }
    private func payment(
        _ amount: Int64, _ purpose: String = "Оплата", inn: String? = "7707083893", organization: String? = nil
    ) -> PaymentMatching.Payment {
        .init(
            amount: Money(minor: amount, currency: .rub), date: "2026-01-31", number: "17", payerINN: inn,
            purpose: purpose, organization: organization)
    }
    /// `501=100 502=200 by number`, or `waits`.
    private func decided(
        _ payment: PaymentMatching.Payment, _ orders: [PaymentMatching.Candidate], remembered: Set<ID> = []
    ) -> String {
        switch PaymentMatching.decide(payment, orders, remembered: remembered) {
        case .matched(let shares, let rule):
            shares.map { "\($0.number)=\($0.amount.minor)" }.joined(separator: " ") + " by \(rule.rawValue)"
        case .unmatched(let reason): "waits: \(reason)"
        }
    }

    @Test func theNumberInThePurposeDecides() {
        let orders = [order("501", owed: 100), order("502", owed: 200)]
        #expect(decided(payment(200, "Оплата по счету № 501 от 31.01.2026"), orders) == "501=200 by number")
        #expect(decided(payment(300, "За станки, счета 501, 502"), orders) == "501=100 502=200 by number")
        #expect(
            decided(payment(250, "За станки, счета 501 и 502"), orders).hasPrefix(
                "waits: в назначении названо несколько"))
    }

    @Test func theNumberOf1CIsKnownAsPeopleWriteIt() {
        let orders = [order("501", owed: 100, onec: "НФ-000019"), order("502", owed: 100, onec: "НФ-000020")]
        for purpose in [
            "Оплата по счету НФ-000019", "оплата сч. 19", "по счёту N19", "Заказ клиента № 000019 от 01.02.26",
        ] {
            #expect(decided(payment(100, purpose), orders) == "501=100 by number", "\(purpose)")
        }
        #expect(decided(payment(100, "19 станков"), orders).hasPrefix("waits: подходит несколько"))
    }

    @Test func withoutANumberTheSumOfThePayerDecidesAndAnAmbiguousOneWaits() {
        #expect(decided(payment(200), [order("501", owed: 100), order("502", owed: 200)]) == "502=200 by sum")
        #expect(
            decided(payment(100), [order("501", owed: 100), order("502", owed: 100)]).hasPrefix(
                "waits: подходит несколько"))
        #expect(decided(payment(30), [order("501", owed: 100)]) == "501=30 by only_order")
        #expect(decided(payment(130), [order("501", owed: 100)]).hasPrefix("waits: сумма больше остатка"))
        #expect(
            decided(payment(100, inn: "7736050003"), [order("501", owed: 100)])
                == "waits: нет заказов клиента с ИНН 7736050003")
        #expect(decided(payment(100, inn: nil), []) == "waits: в выписке нет ИНН плательщика")
    }

    @Test func aThirdPartyWaitsForAPersonAndIsRememberedThen() {
        let orders = [order("501", owed: 100)]
        let stranger = payment(100, "за ООО Ромашка по счету 501", inn: "7736050003")
        #expect(
            decided(stranger, orders).hasPrefix("waits: в назначении назван заказ № 501, но ИНН плательщика другой"))
        #expect(decided(stranger, orders, remembered: [Self.client]) == "501=100 by number")
    }

    @Test func aNumberThatIsAnothersOrThatNothingConfirmsLinksNoMoney() {
        let order = order("5", owed: 10_000, inn: nil)
        #expect(
            decided(payment(9_000_000, "Оплата по договору № 5 от 01.02.2026"), [order])
                == "waits: нет заказов клиента с ИНН 7707083893")
        #expect(decided(payment(9_000, "аванс № 5"), [order]).contains("ИНН"))
        #expect(decided(payment(10_000, "аванс № 5"), [order]) == "5=10000 by number")
        #expect(
            decided(payment(3_000, "по счету № 5", inn: nil), [order]) == "5=3000 by number",
            "called an invoice, a part will do")
        #expect(
            decided(payment(3_000, "по счету № 5"), [order]).hasPrefix("waits"),
            "a firm pays a part of a person's order")
        #expect(decided(payment(30_000, "по счету № 5", inn: nil), [order]).hasPrefix("waits"))
    }

    @Test(arguments: [
        ("Оплата по счету № 17 от 31 января 2026 г.", "17"),
        ("Оплата по счету № 17 от 31.01.2026 по договору № 5", "17"),
        ("Оплата по сч.17", "17"), ("по счету 17 на 18 000,00", "17"),
        ("Счет на оплату № 000017 от 01.02.2026 г. НДС 20%", "17"),
        ("За товар по накладной 12", ""), ("по спецификации № 3 к контракту № 4", ""), ("по счету-фактуре № 55", ""),
        ("на лицевой счет № 12345", ""), ("Заказ 17, счета 18 и 19", "17 18 19"), ("Предоплата 50% N21", "21"),
    ])
    func ordinaryPurposesNameWhatPeopleMean(_ purpose: String, _ numbers: String) {
        let named = PaymentMatching.Purpose(purpose).numbers.sorted().joined(separator: " ")
        #expect(named == numbers, "\(purpose)")
    }

    @Test func anEqualSumIsWhatTheBooksHaveAlreadyCalledPaid() {
        var first = order("501", owed: 50_000)
        first.isPaid = true
        #expect(decided(payment(50_000), [first, order("502", owed: 60_000)]) == "501=50000 by sum")
    }

    @Test func thePayersOwnOrderComesBeforeAnotherOfTheSameNumber() {
        let own = order("900", owed: 100, onec: "НФ-000017")
        let stranger = order("17", owed: 100, inn: nil)
        #expect(decided(payment(100, "счет № 17"), [own, stranger]) == "900=100 by number")
        let other = order("33", owed: 700, inn: "7736050003")
        #expect(
            decided(payment(100, "по счету № 33"), [own, other]) == "900=100 by sum", "an invoice of its own numbering")
    }

    @Test func whatTheBooksCallPaidWaitsForNoMoney() {
        var old = order("501", owed: 50_000)
        old.isPaid = true
        #expect(decided(payment(20_000), [old, order("502", owed: 60_000)]) == "502=20000 by only_order")
    }

    @Test func theOtherOrganizationsOrdersAreNotMeant() {
        let orders = [order("501", owed: 100, organization: "ip"), order("502", owed: 100)]
        #expect(decided(payment(100, organization: "ooo"), orders) == "502=100 by sum")
    }

    @Test func whatTheBooksHaveToldIsRecognized() {
        let told = [
            PaymentMatching.Candidate.Told(
                number: "0017", date: "2026-02-02", amount: Money(minor: 100, currency: .rub))
        ]
        #expect(
            decided(payment(100), [order("501", owed: 0, told: told), order("502", owed: 100)]) == "501=100 by told")
    }

    @Test func aFullyPaidOrderThatIsNamedAgainWaits() {
        #expect(
            decided(payment(100, "счет 501"), [order("501", owed: 0)]).hasPrefix(
                "waits: заказ № 501 из назначения уже оплачен"))
    }
}
