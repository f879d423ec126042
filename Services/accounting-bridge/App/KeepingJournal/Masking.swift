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

    private static func mail(_ text: String) -> String {
        // Most texts have none; and a name is no longer than 64 characters (RFC 5321), which keeps the search short.
        guard text.utf8.contains(UInt8(ascii: "@")) else { return text }
        return text.replacing(/([A-Za-z0-9._%+\-])[A-Za-z0-9._%+\-]{0,63}@([A-Za-z0-9.\-]{1,255}\.[A-Za-z]{2,})/) {
            "\($0.1)***@\($0.2)"
        }
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
