import Primitives

/// One line of an order as asked of 1C.
public struct OrderLine: Codable, Sendable, Hashable {
    public let sku, name: String
    public let quantity, price: Quantity
    public let unit: String?
    /// VAT in per cent, as written: `20`, `10`, `0`, or nil for without.
    public let vat: String?
    public let discount: Money?
    /// quantity × price − discount, rounded per line.
    public let sum: Money

    public init(
        sku: String, name: String, quantity: Quantity, price: Quantity, unit: String?,
        vat: String?, discount: Money?, sum: Money
    ) {
        self.sku = sku
        self.name = name
        self.quantity = quantity
        self.price = price
        self.unit = unit
        self.vat = vat
        self.discount = discount
        self.sum = sum
    }

    /// VAT in per cent as a number, also of `20%`; nil for without, and for what names no rate.
    public var vatRate: Int64? {
        vat.flatMap { Int64($0.filter { $0.isASCII && $0.isNumber }) }.flatMap { (0...100).contains($0) ? $0 : nil }
    }

    /// How much of the sum is VAT, rounded half up.
    public var vatSum: Money {
        guard let rate = vatRate, rate > 0 else { return .zero(sum.currency) }
        let (tax, whole) = (abs(sum.minor) * rate, 100 + rate)
        let rounded = (tax * 2 + whole) / (whole * 2)
        return Money(minor: sum.minor < 0 ? -rounded : rounded, currency: sum.currency)
    }
}

/// The client of an order, as 1C is to find or make its counterparty.
public struct Counterparty: Codable, Sendable, Hashable {
    /// Our id of the company, or of the contact when he buys for himself.
    public let id: ID
    public let name: String
    public let isFirm: Bool
    public let inn, kpp, phone, email: String?

    public init(
        id: ID, name: String, isFirm: Bool, inn: String?, kpp: String?, phone: String?,
        email: String?
    ) {
        self.id = id
        self.name = name
        self.isFirm = isFirm
        self.inn = inn
        self.kpp = kpp
        self.phone = phone
        self.email = email
    }
}
