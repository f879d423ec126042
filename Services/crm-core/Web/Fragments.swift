import Postgres
import Primitives
import ServiceKit

/// The parts of a page that move while one looks: the chat's bubbles and the line's steps.
struct Fragments: Sendable {
    let pool: PostgresPool
    let language: Language

    private static let messageLimit = 500

    static func escape(_ text: String) -> String {
        text.reduce(into: "") { out, character in
            switch character {
            case "&": out += "&amp;"
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            case "\"": out += "&quot;"
            case "'": out += "&#39;"
            default: out.append(character)
            }
        }
    }

    func chat(_ journey: ID) async throws -> String {
        let rows = try await pool.query(
            """
            SELECT author, by_whom, text, state, at FROM (
                SELECT id, author, by_whom, text, state, at FROM chat_message WHERE journey_id = $1
                ORDER BY at DESC, id DESC LIMIT \(Self.messageLimit)) AS m
            ORDER BY at, id
            """, [.id(journey)])
        return try rows.map { row in
            let author = try row.string("author")
            let mark =
                switch try row.string("state") {
                case "unknown": " ⚠ " + ScreenTexts.word("unknownDelivery", language)
                case "failed": " ✗ " + ScreenTexts.word("notSent", language)
                default: ""
                }
            return """
                <div class="bubble \(author)">\(Self.escape(try row.string("text")))
                <div class="small text-muted">\(Self.escape(try row.optionalString("by_whom") ?? author)) · \
                \(LocalTime.clock(try row.time("at")))\(mark)</div></div>
                """
        }.joined()
    }

    func line(_ journey: ID) async throws -> String {
        guard let view = try await JourneyView.load(journey, pool, language) else { return "" }
        return view.steps.map(step).joined() + view.gaps.map(gap).joined()
    }

    private func step(_ step: JourneyView.Step) -> String {
        let text = Self.escape(step.summary)
        let title = Self.link(step.ref).map { "<a href=\"\($0)\">\(text)</a>" } ?? text
        var about = "\(LocalTime.text(step.at)) · \(step.service)"
        if let by = step.by { about += " · \(Self.escape(by))" }
        if let cause = step.causedBy {
            about += " · <a href=\"#s-\(cause)\" title=\"\(ScreenTexts.word("cause", language))\">↑</a>"
        }
        return "<div class=\"step\" id=\"s-\(step.id)\">\(title)<div class=\"small text-muted\">\(about)</div></div>"
    }

    private func gap(_ gap: JourneyView.Gap) -> String {
        let waited = HumanText.span(Timestamp.now().seconds(since: gap.since), language)
        let what = Self.escape(StateWords.waiting(gap.waitingFor, language))
        return """
            <div class="step gap\(gap.late ? "" : " soon")">\(ScreenTexts.word("waits", language)) \(what)
            <div class="small">\(waited) · \(ScreenTexts.word("owner", language)): \(Self.escape(gap.owner)) · \
            \(ScreenTexts.word("norm", language)) \(gap.norm)</div></div>
            """
    }

    private static func link(_ ref: String?) -> String? {
        guard let parts = ref?.split(separator: ":", maxSplits: 1).map(String.init), parts.count == 2 else {
            return nil
        }
        let places = ["lead": "/leads/", "deal": "/deals/", "order": "/orders/", "exchange": "/journal/"]
        return places[parts[0]].map { $0 + parts[1] }
    }
}
