import ServiceKit

extension Caller {
    /// May see what passed between the bridge and 1C to the byte. A manager sees it with people's particulars covered.
    var seesParticulars: Bool { isAdmin || !roles.isDisjoint(with: ["head", "accountant", "integrator"]) }
}

/// Covers phones, tax and account numbers, and addresses of mail in a text, so that it still can be followed.
enum Masking {
    /// Digits in a row, blanks and dashes between them not counted, from which on they are covered: order numbers and sums stay.
    private static let digitsKept = 9

    static func covered(_ text: String) -> String {
        var out = ""
        var word: [Character] = []
        func flush() {
            out += covered(word: word)
            word = []
        }
        for character in text {
            if character.isLetter || character.isNumber || "+-.@_()".contains(character) {
                word.append(character)
            } else {
                flush()
                out.append(character)
            }
        }
        flush()
        return out
    }

    private static func covered(word: [Character]) -> String {
        if let at = word.firstIndex(of: "@"), at > 0, word[at...].contains(".") {
            return String(word[0]) + "***" + String(word[at...])
        }
        let digits = word.count { $0.isNumber }
        guard digits > digitsKept, !word.contains(where: \.isLetter), !word.contains(".") else { return String(word) }
        var left = digits
        return String(
            word.map { character -> Character in
                guard character.isNumber else { return character }
                left -= 1
                return left < 4 ? character : "*"
            })
    }
}
