/// A phone number in E.164, `+79161234567`. Reads what people type in Russia and Kazakhstan.
public struct Phone: Hashable, Sendable, CustomStringConvertible {
    public let e164: String

    /// `8 (916) 123-45-67`, `9161234567`, `+7…`, `007…`, or a foreign number with its plus.
    /// Nil when it is no phone number: letters, too few or too many digits.
    public init?(_ text: String) {
        var digits = ""
        var plus = false
        for (index, character) in text.enumerated() {
            switch character {
            case "+" where digits.isEmpty: plus = true
            case _ where character.isASCII && character.isNumber: digits.append(character)
            case " ", "-", "(", ")", ".", "\u{a0}", "–", "\t", "‑": continue
            default:
                _ = index
                return nil
            }
        }
        if !plus, digits.hasPrefix("00") {
            digits.removeFirst(2)
            plus = true
        }
        if plus {
            guard (8...15).contains(digits.count), !digits.hasPrefix("0") else { return nil }
            guard !digits.hasPrefix("7") || digits.count == 11 else { return nil }
        } else if digits.count == 11, digits.hasPrefix("8") || digits.hasPrefix("7") {
            digits = "7" + digits.dropFirst()
        } else if digits.count == 10, let first = digits.first, "3456789".contains(first) {
            digits = "7" + digits
        } else {
            // Telegram shares contacts of other countries without the plus.
            guard (11...15).contains(digits.count), !digits.hasPrefix("0") else { return nil }
        }
        e164 = "+" + digits
    }

    public var description: String { e164 }

    /// As people read it: `+7 916 123-45-67`; other countries as E.164.
    public var spoken: String {
        guard e164.hasPrefix("+7"), e164.count == 12 else { return e164 }
        let d = Array(e164.dropFirst(2))
        return "+7 \(String(d[0...2])) \(String(d[3...5]))-\(String(d[6...7]))-\(String(d[8...9]))"
    }
}
