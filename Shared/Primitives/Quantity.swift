/// A quantity or a price: a decimal with up to four places, exact.
public struct Quantity: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// Ten-thousandths.
    public let tenThousandths: Int64
    public static let places = 4

    public init(tenThousandths: Int64) { self.tenThousandths = tenThousandths }

    public init?(_ text: String) {
        guard let value = parseDecimal(text, places: Self.places) else { return nil }
        tenThousandths = value
    }

    /// Shortest exact form: `2`, `1.5`, `0.0001`.
    public var description: String {
        var text = writeDecimal(tenThousandths, places: Self.places)
        while text.hasSuffix("0") { text.removeLast() }
        if text.hasSuffix(".") { text.removeLast() }
        return text
    }

    public static func < (left: Quantity, right: Quantity) -> Bool {
        left.tenThousandths < right.tenThousandths
    }

    /// `quantity × price`, rounded half away from zero to the currency's minor unit: the rule per line.
    /// Nil when the product does not fit.
    public func times(price: Quantity, in currency: Currency) -> Money? {
        let product = tenThousandths.multipliedFullWidth(by: price.tenThousandths)
        var divisor: Int64 = 100_000_000
        for _ in 0..<currency.fractionDigits { divisor /= 10 }
        let fits = product.high == 0 || product.high == -1
        guard fits, let value = Int64(exactly: Int128(product.high) << 64 | Int128(product.low))
        else { return nil }
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        let round: Int64 = abs(remainder) * 2 >= divisor ? (value < 0 ? -1 : 1) : 0
        guard abs(quotient) < Money.limit else { return nil }
        return Money(minor: quotient + round, currency: currency)
    }
}

extension Quantity: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let value = Quantity(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "a decimal text with at most 4 places is wanted")
        }
        self = value
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// Reads `-12.30` into scaled integers. Refuses exponents, blanks, a lone point and digits beyond
/// `places` unless they are zeros; nil also when it does not fit 64 bits.
public func parseDecimal(_ text: String, places: Int) -> Int64? {
    var bytes = Array(text.utf8)[...]
    let negative = bytes.first == UInt8(ascii: "-")
    if negative || bytes.first == UInt8(ascii: "+") { bytes = bytes.dropFirst() }
    var value: Int64 = 0
    var digits = 0
    var fraction: Int?
    for byte in bytes {
        if byte == UInt8(ascii: "."), fraction == nil, digits > 0 {
            fraction = 0
            continue
        }
        guard (48...57).contains(byte) else { return nil }
        if let count = fraction {
            fraction = count + 1
            if count >= places {
                guard byte == 48 else { return nil }
                continue
            }
        }
        digits += 1
        let (scaled, overflowScale) = value.multipliedReportingOverflow(by: 10)
        let (sum, overflowSum) = scaled.addingReportingOverflow(Int64(byte - 48))
        guard !overflowScale, !overflowSum else { return nil }
        value = sum
    }
    guard digits > 0, fraction != 0 else { return nil }
    for _ in min(fraction ?? 0, places)..<places {
        let (scaled, overflow) = value.multipliedReportingOverflow(by: 10)
        guard !overflow else { return nil }
        value = scaled
    }
    return negative ? -value : value
}

func writeDecimal(_ value: Int64, places: Int) -> String {
    var digits = String(value.magnitude)
    guard places > 0 else { return (value < 0 ? "-" : "") + digits }
    digits = String(repeating: "0", count: max(0, places + 1 - digits.count)) + digits
    digits.insert(".", at: digits.index(digits.endIndex, offsetBy: -places))
    return (value < 0 ? "-" : "") + digits
}
