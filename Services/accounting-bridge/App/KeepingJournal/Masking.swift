import ServiceKit

extension Caller {
    /// May see what passed between the bridge and 1C to the byte. A manager sees it with people's particulars covered.
    var seesParticulars: Bool { isAdmin || !roles.isDisjoint(with: ["head", "accountant", "integrator"]) }
}

/// Covers phones, tax and account numbers, and addresses of mail in a text, so that it still can be followed.
enum Masking {
    /// Digits in a row, from which on they are covered, and how many of them stay; order numbers and sums have fewer. Blanks, dashes and brackets
    /// between them do not count.
    private static let digitsCovered = 10
    private static let digitsShown = 4

    static func covered(_ text: String) -> String { digits(mail(text)) }

    /// Of a name before an `@` its first letter stays. Looked for from the signs, so that a long text costs no more than its length.
    private static func mail(_ text: String) -> String {
        var parts = text.split(separator: "@", omittingEmptySubsequences: false).map(Substring.init)
        guard parts.count > 1 else { return text }
        for index in parts.indices.dropLast() {
            let name = parts[index].suffix(while: { $0.isASCII && ($0.isLetter || $0.isNumber || "._%+-".contains($0)) }
            )
            let isHost = parts[index + 1].prefix(255).prefixMatch(of: /[A-Za-z0-9.\-]+\.[A-Za-z]{2,}/) != nil
            guard let first = name.first, isHost else { continue }
            parts[index] = parts[index].dropLast(name.count) + "\(first)***"
        }
        return parts.joined(separator: "@")
    }

    private static func digits(_ text: String) -> String {
        var out: [Character] = []
        var run: [Character] = []
        func flush() {
            // A day is no number of anybody; what follows it may be.
            if let day = String(run).prefixMatch(of: /\s*[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9])/) {
                out += run.prefix(day.output.count)
                run.removeFirst(day.output.count)
            }
            var left = run.count { $0.isNumber }
            guard left >= digitsCovered else {
                out += run
                run = []
                return
            }
            for character in run {
                guard character.isNumber else {
                    out.append(character)
                    continue
                }
                left -= 1
                out.append(left < digitsShown ? character : "*")
            }
            run = []
        }
        for character in text {
            let isPart =
                character.isASCII && character.isNumber || (!run.isEmpty && " -–()\u{a0}".contains(character))
                || character == "+"
            if isPart {
                run.append(character)
            } else {
                flush()
                out.append(character)
            }
        }
        flush()
        return String(out)
    }
}

extension Substring {
    /// What stands at its end and holds throughout.
    fileprivate func suffix(while holds: (Character) -> Bool) -> Substring {
        var start = endIndex
        while start > startIndex, holds(self[index(before: start)]) { start = index(before: start) }
        return self[start...]
    }
}
