import Primitives
import Sodium

/// An e-mail as bytes on the wire (RFC 5322, RFC 2045): UTF-8 text, base64.
struct Mail: Sendable {
    let from, to, subject, body: String
    let id: ID
    let at: Timestamp

    var message: String {
        let domain = from.split(separator: "@").last.map(String.init) ?? "localhost"
        return [
            "From: <\(Self.header(from))>", "To: <\(Self.header(to))>",
            "Subject: \(Self.encoded(subject))", "Date: \(Self.date(at))",
            // The same for every attempt: a mail system recognises a repeat by it.
            "Message-ID: <\(id)@\(domain)>", "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64", "",
            Self.lines(base64(Array(body.utf8))), "",
        ].joined(separator: "\r\n")
    }

    /// Nothing may begin a header of its own.
    private static func header(_ text: String) -> String { text.filter { !$0.isNewline && $0 != "<" && $0 != ">" } }

    /// RFC 2047 words of at most 75 characters, cut between characters.
    static func encoded(_ text: String) -> String {
        var words: [String] = []
        var part = ""
        for character in text where !character.isNewline {
            if (part + String(character)).utf8.count > 42 {
                words.append(part)
                part = ""
            }
            part.append(character)
        }
        words.append(part)
        return words.map { "=?utf-8?B?\(base64(Array($0.utf8)))?=" }.joined(separator: "\r\n ")
    }

    private static func lines(_ text: String) -> String {
        var rest = text[...]
        var lines: [Substring] = []
        while !rest.isEmpty {
            lines.append(rest.prefix(76))
            rest = rest.dropFirst(76)
        }
        return lines.joined(separator: "\r\n")
    }

    private static func date(_ time: Timestamp) -> String {
        let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let text = time.description
        let parts = text.prefix(10).split(separator: "-").compactMap { Int($0) }
        let weekday = days[Int(time.milliseconds / 86_400_000) % 7]
        return "\(weekday), \(parts[2]) \(months[parts[1] - 1]) \(parts[0]) \(text.dropFirst(11).prefix(8)) +0000"
    }
}
