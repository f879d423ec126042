import Postgres
import Primitives
import ServiceKit

/// The parts of a page that move while one looks: the chat and the line.
struct Fragments: Sendable {
    let pool: PostgresPool

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

    func chat(_ journey: ID, csrf: String, _ language: String) async throws -> String {
        let t = ScreenTexts.all(language)
        func word(_ key: String) -> String { Self.escape(t[key] ?? key) }
        let answers = try await pool.run([
            Statement(
                """
                SELECT author, by_whom, text, state, at FROM chat_message WHERE journey_id = $1
                ORDER BY at, id LIMIT 500
                """, [.id(journey)]),
            Statement(
                "SELECT id, held_by FROM conversation WHERE journey_id = $1", [.id(journey)]),
        ])
        var out = "<div class=\"card\"><div class=\"card-body\"><h2 class=\"h6\">\(word("chat"))</h2><div id=\"chat\">"
        for row in answers[0] {
            let author = try row.string("author")
            let state = try row.string("state")
            let mark = state == "unknown" ? " ⚠ неизвестно, дошло ли" : state == "failed" ? " ✗ не отправлено" : ""
            out += "<div class=\"bubble \(author)\">\(Self.escape(try row.string("text")))"
            out += "<div class=\"small text-muted\">\(Self.escape(try row.optionalString("by_whom") ?? author))"
            out += " · \(LocalTime.clock(try row.time("at")))\(mark)</div></div>"
        }
        out += "</div>"
        if let row = answers[1].first {
            let id = try row.id("id")
            let held = try row.optionalString("held_by")
            let who = held.map { "\(word("held")): \(Self.escape($0))" } ?? word("botTalks")
            out += "<p class=\"small text-muted mb-1\">\(who)</p>"
            out += "<form method=\"post\" action=\"/conversations/\(id)/reply\"><input type=\"hidden\" name=\"csrf\" value=\"\(csrf)\">"
            out += "<input type=\"hidden\" name=\"journey\" value=\"\(journey)\"><textarea class=\"form-control mb-1\" id=\"reply\" name=\"text\" rows=\"2\" maxlength=\"4096\" placeholder=\"\(word("reply"))\" required></textarea>"
            out += "<button class=\"btn btn-sm btn-primary\" id=\"send\">\(word("send"))</button></form>"
            if held != nil {
                out += "<form method=\"post\" action=\"/conversations/\(id)/release\" class=\"mt-1\"><input type=\"hidden\" name=\"csrf\" value=\"\(csrf)\"><input type=\"hidden\" name=\"journey\" value=\"\(journey)\"><button class=\"btn btn-sm btn-outline-secondary\" id=\"release\">\(word("release"))</button></form>"
            }
        }
        return out + "</div></div>"
    }

    func line(_ journey: ID, _ language: String) async throws -> String {
        let t = ScreenTexts.all(language)
        guard let view = try await JourneyView.load(journey, pool) else { return "" }
        var out = "<div class=\"card\"><div class=\"card-body\"><h2 class=\"h6\">\(t["line"] ?? "")</h2>"
        for step in view.steps {
            let link = Self.link(step.ref)
            let text = Self.escape(step.summary)
            out += "<div class=\"step\" id=\"s-\(step.id)\">"
            out += link.map { "<a href=\"\($0)\">\(text)</a>" } ?? text
            out += "<div class=\"small text-muted\">\(LocalTime.text(step.at)) · \(step.service)"
            if let by = step.by { out += " · \(Self.escape(by))" }
            if let cause = step.causedBy { out += " · <a href=\"#s-\(cause)\" title=\"причина\">↑</a>" }
            out += "</div></div>"
        }
        for gap in view.gaps {
            out += "<div class=\"step gap\(gap.late ? "" : " soon")\">\(t["waits"] ?? "") \(Self.escape(ScreenTexts.waiting(gap.waitingFor, language)))"
            out += "<div class=\"small\">\(RussianText.span(Timestamp.now().seconds(since: gap.since))) · \(t["owner"] ?? ""): \(Self.escape(gap.owner)) · норма \(gap.norm)</div></div>"
        }
        return out + "</div></div>"
    }

    private static func link(_ ref: String?) -> String? {
        guard let parts = ref?.split(separator: ":", maxSplits: 1).map(String.init), parts.count == 2 else {
            return nil
        }
        switch parts[0] {
        case "lead": return "/leads/\(parts[1])"
        case "deal": return "/deals/\(parts[1])"
        case "order": return "/orders/\(parts[1])"
        case "exchange": return "/journal/\(parts[1])"
        default: return nil
        }
    }

    static func liveScript(_ journey: ID, _ path: String) -> String {
        """
        <script>
        const chat = () => document.getElementById('chat'); if (chat()) chat().scrollTop = 1e6;
        let waiting = null;
        async function refresh() {
          waiting = null;
          for (const box of ['chatbox', 'linebox']) {
            const html = await (await fetch('/live/\(journey)/' + box)).text();
            const draft = document.getElementById('reply')?.value, focused = document.activeElement?.id === 'reply';
            document.getElementById(box).innerHTML = html;
            if (box === 'chatbox' && draft) { document.getElementById('reply').value = draft; if (focused) document.getElementById('reply').focus(); }
            if (chat()) chat().scrollTop = 1e6;
          }
        }
        new EventSource('/live/\(journey)').onmessage = () => { if (!waiting) waiting = setTimeout(refresh, 150); };
        </script>
        """
    }
}
