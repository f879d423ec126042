import Primitives
import Testing

@Suite struct TimestampTests {
    @Test func writesAndReadsMilliseconds() {
        let time = Timestamp("2026-01-31T09:05:00.123Z")
        #expect(time?.description == "2026-01-31T09:05:00.123Z")
        #expect(Timestamp("2026-01-31 12:05:00.123456+03") == time)
    }

    @Test func readsAnHourWithoutItsZeroAsOneCWritesIt() {
        #expect(Timestamp("2021-02-18T9:49:02")?.description == "2021-02-18T09:49:02.000Z")
    }

    @Test(arguments: ["", "2026", "2026-13-01", "2026-01-01T25:00:00Z", "2026-01-01T00:00:00Zx"])
    func refusesWhatIsNoTime(_ text: String) { #expect(Timestamp(text) == nil) }
}

@Suite struct IDTests {
    @Test func sortsByTheOrderOfMaking() {
        let ids = (0..<5000).map { _ in ID.make() }
        #expect(ids == ids.sorted())
        #expect(Set(ids).count == ids.count)
        #expect(ids.map(\.description) == ids.map(\.description).sorted())
    }

    @Test func isReadBackFromItsText() {
        let id = ID.make()
        #expect(ID(id.description) == id)
        #expect(ID(id.description.uppercased()) == id)
        #expect(ID("not-an-id") == nil)
    }
}

@Suite struct MoneyTests {
    @Test func isExactToTheKopeck() {
        #expect(Money("599.70", .rub)?.minor == 59970)
        #expect(Money(minor: 59970, currency: .rub).amount == "599.70")
        #expect(Money("-0.05", .kzt)?.amount == "-0.05")
    }

    @Test(arguments: ["1,5", "12abc", "1.005", ".5", "1.", "", "99999999999999999999"])
    func refusesWhatItWouldHaveToGuess(_ text: String) { #expect(Money(text, .rub) == nil) }

    @Test func aLineIsRoundedHalfAwayFromZero() throws {
        let quantity = try #require(Quantity("3"))
        let price = try #require(Quantity("0.3350"))
        #expect(quantity.times(price: price, in: .rub)?.minor == 101)
    }

    @Test(arguments: [("руб", "RUB"), ("RUB", "RUB"), ("руб.", "RUB"), ("тнг", "KZT"), ("грн", "UAH")])
    func understandsOneCsCurrencyWords(_ word: String, _ code: String) {
        #expect(Currency(onec: word)?.code == code)
    }
}

@Suite struct NumberTests {
    @Test func taxNumbersCarryCheckDigits() {
        #expect(TaxNumber("7707083893")?.kind == .innOfFirm)
        #expect(TaxNumber("500100732259")?.kind == .innOfPerson)
        #expect(TaxNumber("7707083894") == nil)
        #expect(TaxNumber.problem("770708389")?.contains("9") == true)
        #expect(isKPP("770701001") && !isKPP("77070100"))
    }

    @Test(arguments: ["8 (916) 123-45-67", "+7 916 123 45 67", "9161234567", "79161234567"])
    func aPhoneIsOneNumberHoweverTyped(_ text: String) { #expect(Phone(text)?.e164 == "+79161234567") }

    @Test(arguments: ["не номер", "123", "+7916", "8916123456789012", ""])
    func whatIsNoPhoneIsRefused(_ text: String) { #expect(Phone(text) == nil) }
}

@Suite struct HumanTextTests {
    @Test(arguments: [(1, "заявка"), (2, "заявки"), (5, "заявок"), (11, "заявок"), (21, "заявка"), (112, "заявок")])
    func pluralsAreRight(_ count: Int, _ word: String) {
        #expect(HumanText.plural(count, "заявка", "заявки", "заявок") == word)
    }

    @Test func sumsAreGroupedAsEachLanguageDoes() {
        #expect(HumanText.money("1234567.50", "RUB") == "1\u{a0}234\u{a0}567,50\u{a0}₽")
        #expect(HumanText.money("-1234567.50", "KZT", .en) == "−1,234,567.50\u{a0}₸")
    }

    @Test func daysAndSpansAreWords() {
        #expect(HumanText.day("2026-01-31") == "31.01.2026")
        #expect(HumanText.span(172_800) == "2 дня" && HumanText.span(86_400, .en) == "1 day")
        #expect(HumanText.span(95) == "1 мин" && HumanText.span(7200) == "2 ч")
    }

    @Test func aSumThatCouldNotBeAddedUpIsRefused() {
        #expect(Money("10000000000000.00", .rub)?.minor == Money.limit)
        #expect(Money("10000000000000.01", .rub) == nil)
        #expect(
            Quantity("99999999999")?.times(price: Quantity("99999999999") ?? .init(tenThousandths: 0), in: .rub) == nil)
    }
}
