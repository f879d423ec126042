/// The tax number of a firm or a person: Russian INN (10 or 12 digits) or Kazakh BIN/IIN (12 digits),
/// told apart by their check digits.
public struct TaxNumber: Hashable, Sendable, CustomStringConvertible {
    public enum Kind: Sendable { case innOfFirm, innOfPerson, bin }
    public let digits: String
    public let kind: Kind

    /// Nil when length or check digit is wrong; use ``problem(_:)`` for the reason in words.
    public init?(_ text: String) {
        let trimmed = text.filter { !$0.isWhitespace }
        let numbers = trimmed.compactMap { $0.isASCII ? $0.wholeNumberValue : nil }
        guard numbers.count == trimmed.count else { return nil }
        if numbers.count == 10, Self.innOfFirmFits(numbers) {
            kind = .innOfFirm
        } else if numbers.count == 12, Self.innOfPersonFits(numbers) {
            kind = .innOfPerson
        } else if numbers.count == 12, Self.binFits(numbers) {
            kind = .bin
        } else {
            return nil
        }
        digits = trimmed
    }

    public var description: String { digits }

    public static func problem(_ text: String) -> String? {
        if TaxNumber(text) != nil { return nil }
        let trimmed = text.filter { !$0.isWhitespace }
        guard trimmed.allSatisfy({ $0.isASCII && $0.isNumber }) else {
            return "a tax number has digits only"
        }
        return [10, 12].contains(trimmed.count)
            ? "the check digit does not fit: a digit is mistyped"
            : "an INN has 10 or 12 digits, a BIN has 12, this has \(trimmed.count)"
    }

    private static func weighted(_ digits: [Int], _ weights: [Int]) -> Int {
        zip(digits, weights).reduce(0) { $0 + $1.0 * $1.1 }
    }

    static func innOfFirmFits(_ d: [Int]) -> Bool {
        weighted(d, [2, 4, 10, 3, 5, 9, 4, 6, 8]) % 11 % 10 == d[9] && d.contains { $0 != 0 }
    }

    static func innOfPersonFits(_ d: [Int]) -> Bool {
        weighted(d, [7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) % 11 % 10 == d[10]
            && weighted(d, [3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) % 11 % 10 == d[11]
            && d.contains { $0 != 0 }
    }

    /// Kazakh BIN/IIN: weights 1…11; on 10 a second row 3…11,1,2; 10 again means an invalid number.
    static func binFits(_ d: [Int]) -> Bool {
        var control = weighted(d, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]) % 11
        if control == 10 { control = weighted(d, [3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2]) % 11 }
        return control < 10 && control == d[11] && d.contains { $0 != 0 }
    }
}

/// КПП: four digits, two digits or capital Latin letters, three digits.
public func isKPP(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    guard bytes.count == 9 else { return false }
    return bytes.enumerated().allSatisfy { index, byte in
        (48...57).contains(byte) || ((4...5).contains(index) && (65...90).contains(byte))
    }
}
