import Contracts
import Primitives
import Testing

@testable import AccountingBridge

@Suite struct BornOrderTests {
    private func order(
        _ key: String = "6a1d0f52-1c1d-41ef-9c3a-0050568b35ac", number: String? = "ТД00-000012",
        day: String? = "2026-01-31"
    )
        -> BornOrder
    {
        BornOrder(key: key, number: number, day: day, total: .zero(.rub))
    }

    @Test(arguments: ["ТД00-000012", "00000000012", "012", "", "123456789012", "12а", "１２", "12 ", "-5"])
    func isNoNumberOfOurs(_ number: String) { #expect(BornOrder.isOne(number)) }

    @Test(arguments: ["1", "500", "99999999999"])
    func mayBeOneOfOurs(_ number: String) { #expect(!BornOrder.isOne(number)) }

    @Test func itsIdIsItsKey() throws {
        #expect(order().id(in: "ut").description == "6a1d0f52-1c1d-41ef-9c3a-0050568b35ac")
        // Where that is no UUID it is always the same, and another in another base.
        #expect(order("A-1").id(in: "ut") == order("A-1").id(in: "ut"))
        #expect(
            order("A-1").id(in: "ut") != order("A-1").id(in: "bp")
                && order("A-1").id(in: "ut") != order("A-2").id(in: "ut"))
    }

    @Test func whatPeopleCallIt() {
        #expect(order().name(in: "ut", isTaken: false) == "ТД00-000012 (ut, 2026)")
        #expect(order().name(in: "ut", isTaken: true) == "ТД00-000012 (ut, 2026, 6a1d0f52)")
        #expect(order(number: "УТ/1\0", day: nil).name(in: "ut", isTaken: false) == "УТ-1 (ut)")
        #expect(order(number: nil).name(in: "ut", isTaken: false) == "без номера (ut, 2026, 6a1d0f52)")
        #expect(order(number: String(repeating: "9", count: 100)).name(in: "ut", isTaken: false).count == 61)
    }

    @Test func linesFitInAnEvent() {
        let line = BornOrder.line(
            sku: String(repeating: "а", count: 500), name: String(repeating: "б", count: 500),
            quantity: Quantity(tenThousandths: 10_000), price: Quantity(tenThousandths: 10_000),
            unit: String(repeating: "в", count: 500), sum: .zero(.rub))
        #expect((line.sku.count, line.name.count, line.unit?.count) == (100, 250, 50))
        var many = order()
        many.lines = Array(repeating: line, count: 5000)
        #expect((50...200).contains(many.fittingLines.count))
        many.lines = Array(
            repeating: BornOrder.line(
                sku: "a", name: "b", quantity: line.quantity, price: line.price, unit: nil, sum: .zero(.rub)),
            count: 5000)
        #expect((600...BornOrder.lineLimit).contains(many.fittingLines.count))
    }

    @Test(arguments: [
        ("2", "2"), ("1 234,5", "1234.5"), ("15.123456", "15.1235"), ("15.12344999", "15.1234"), ("0,00005", "0.0001"),
        ("-0.00005", "-0.0001"),
        ("7.", nil), ("1.2345x", nil), ("1.23456x", nil), ("", nil), ("99999999999999999.12345", nil),
    ])
    func aQuantityAsItIsWritten(_ text: String, _ wanted: String?) {
        #expect(Quantity(onec: text)?.description == wanted)
    }
}
