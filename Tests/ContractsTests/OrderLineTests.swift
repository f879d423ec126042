import Contracts
import Primitives
import Testing

@Suite("A line of an order") struct OrderLineTests {
    @Test(arguments: [
        ("22", "122.00", "22.00"), ("20", "100.00", "16.67"), ("10", "0.05", "0.00"), ("10", "0.06", "0.01"),
        ("0", "100.00", "0.00"), (nil, "100.00", "0.00"), ("без", "100.00", "0.00"), ("20", "-100.00", "-16.67"),
        ("20", "10000000000000.00", "1666666666666.67"),
    ])
    func itsTaxIsAPartOfItsSum(_ rate: String?, _ sum: String, _ tax: String) throws {
        let line = OrderLine(
            sku: "1", name: "a", quantity: Quantity(tenThousandths: 10_000), price: Quantity(tenThousandths: 10_000),
            unit: nil, vat: rate, discount: nil, sum: try #require(Money(sum, .rub)))
        #expect(line.vatSum == Money(tax, .rub))
    }
}
