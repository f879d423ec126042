/// A sum of one currency in whole minor units (kopecks, tiyn). Sums of different currencies are
/// never added. On the wire: `{"amount":"45000.00","currency":"KZT"}`.
public struct Money: Hashable, Sendable {
    /// Minor units: 4500000 for 45 000,00.
    public let minor: Int64
    public let currency: Currency

    public init(minor: Int64, currency: Currency) {
        self.minor = minor
        self.currency = currency
    }

    /// Minor units of one sum at most: a thousand such sums still add up within 64 bits.
    public static let limit: Int64 = 1_000_000_000_000_000

    public static func zero(_ currency: Currency) -> Money { Money(minor: 0, currency: currency) }

    /// Reads a decimal text with at most the currency's number of fraction digits; nil also beyond ``limit``.
    public init?(_ amount: String, _ currency: Currency) {
        guard let minor = parseDecimal(amount, places: currency.fractionDigits), abs(minor) <= Self.limit
        else { return nil }
        self.init(minor: minor, currency: currency)
    }

    /// The amount as a decimal text with a full stop: `45000.00`.
    public var amount: String { writeDecimal(minor, places: currency.fractionDigits) }

    public static func + (left: Money, right: Money) -> Money {
        precondition(left.currency == right.currency, "sums of different currencies are never added")
        return Money(minor: left.minor + right.minor, currency: left.currency)
    }

    public static func - (left: Money, right: Money) -> Money {
        precondition(left.currency == right.currency, "sums of different currencies are never added")
        return Money(minor: left.minor - right.minor, currency: left.currency)
    }
}

extension Money: Codable {
    enum CodingKeys: CodingKey { case amount, currency }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let currency = try container.decode(Currency.self, forKey: .currency)
        guard let money = Money(try container.decode(String.self, forKey: .amount), currency) else {
            throw DecodingError.dataCorruptedError(
                forKey: .amount, in: container,
                debugDescription: "amount is a decimal text with \(currency.fractionDigits) places")
        }
        self = money
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(amount, forKey: .amount)
        try container.encode(currency, forKey: .currency)
    }
}

/// An ISO 4217 code.
public struct Currency: Hashable, Sendable, CustomStringConvertible {
    public let code: String

    public init?(_ code: String) {
        let upper = code.uppercased()
        guard upper.utf8.count == 3, upper.utf8.allSatisfy({ (65...90).contains($0) }) else {
            return nil
        }
        self.code = upper
    }

    private init(known code: String) { self.code = code }

    public static let rub = Currency(known: "RUB")
    public static let kzt = Currency(known: "KZT")

    /// Digits after the point by ISO 4217; all currencies that are not listed there have two.
    public var fractionDigits: Int {
        switch code {
        case "JPY", "KRW", "VND", "CLP", "ISK": 0
        case "KWD", "BHD", "OMR", "TND", "JOD", "IQD": 3
        default: 2
        }
    }

    public var description: String { code }

    /// The number of ISO 4217, which is the code of a currency's card in 1C; nil for currencies that no base of ours has met.
    public var isoNumber: String? {
        switch code {
        case "RUB": "643"
        case "KZT": "398"
        case "UAH": "980"
        case "USD": "840"
        case "EUR": "978"
        case "BYN": "933"
        case "UZS": "860"
        case "KGS": "417"
        case "CNY": "156"
        default: nil
        }
    }

    /// The currency that 1C means by the first three characters of a currency's name, which is what it
    /// writes into `Валюта` (УНФ U:13494, УТ the same): `руб`, `RUB`, `тнг`, `грн` …
    public init?(onec word: String) {
        let key = word.lowercased().filter { !$0.isWhitespace && $0 != "." }
        switch key {
        case "руб", "р", "рос", "643", "810", "rur": self.init("RUB")
        case "тнг", "тен", "тг", "398", "₸": self.init("KZT")
        case "грн", "укр", "980": self.init("UAH")
        case "дол", "usd", "$", "840", "сша": self.init("USD")
        case "евр", "eur", "€", "978": self.init("EUR")
        case "бел", "byn", "933": self.init("BYN")
        case "сум", "860": self.init("UZS")
        case "сом", "417": self.init("KGS")
        case "юан", "156": self.init("CNY")
        default: self.init(key)
        }
    }
}

extension Currency: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let value = Currency(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "not an ISO 4217 code")
        }
        self = value
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(code)
    }
}
