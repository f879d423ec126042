import Contracts
import Hummingbird
import Postgres
import Primitives
import ServiceKit

/// `/flow`: how far everything is between the services, what waits and for whom; and where one order is.
struct FlowPages: Sendable {
    let pool: PostgresPool
    let sessions: Sessions
    let renderer: PageRenderer
    let others: OtherServices

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/flow") { request, context in
            let caller = try context.person()
            try context.require("head", "integrator")
            let session = try OtherServices.session(request, context)
            let language = renderer.language(request)
            var services: [[String: Any]] = []
            for service in ServiceIdentity.allCases {
                let report = try? await others.get(service, "/api/v1/bus", session: session)
                services.append(Self.fields(service, report?.status == 200 ? report?.json : nil, language))
            }
            var fields: [String: Any] = ["services": services, "order": request.query("order") ?? ""]
            if let order = request.query("order"), !order.isEmpty {
                fields["asked"] = true
                fields["places"] = try await places(order, session, language)
                if let journey = try await journey(order) { fields["journey"] = journey.description }
            }
            return try await renderer.page("flow", title: ScreenTexts.word("flow", language), fields, request, caller)
        }
        router.post("/flow/decisions") { request, context in
            let caller = try context.person()
            try context.require("integrator")
            let form = try await Form(request)
            try sessions.checkCSRF(form["csrf"], caller)
            let session = try OtherServices.session(request, context)
            guard let service = form["service"].flatMap({ ServiceIdentity(rawValue: $0) }),
                let stream = form.filled("stream"), let decision = form.filled("decision")
            else { throw Problem.badRequest("service, stream and decision are wanted") }
            let reason = RawJSON.string(form.filled("reason") ?? "")
            if decision == "heal", let publisher = ServiceIdentity(rawValue: String(stream.prefix { $0 != "/" })) {
                let consent = RawJSON.object(["subscriber": .string(service.name), "reason": reason])
                try Self.expect(try await others.post(publisher, "/api/v1/bus/copies", consent, session: session))
            }
            let wish = RawJSON.object(["stream": .string(stream), "decision": .string(decision), "reason": reason])
            try Self.expect(try await others.post(service, "/api/v1/bus/decisions", wish, session: session))
            return Response.redirect("/flow")
        }
    }

    /// An answer that was refused is shown with its words.
    static func expect(_ answer: (status: Int, json: RawJSON)) throws {
        guard (200...202).contains(answer.status) else {
            throw Problem(
                .init(code: answer.status), answer.json["type"]?.stringValue ?? "refused",
                answer.json["title"]?.stringValue ?? "refused", detail: answer.json["detail"]?.stringValue)
        }
    }

    private func journey(_ order: String) async throws -> ID? {
        try await pool.query("SELECT journey_id FROM sales_order WHERE number = $1", [.text(order)]).first?
            .optionalID("journey_id")
    }

    private func places(_ order: String, _ session: String, _ language: Language) async throws -> [[String: Any]] {
        guard let journey = try await journey(order) else { return [] }
        var places: [[String: Any]] = []
        for service in ServiceIdentity.allCases {
            let answer = try? await others.get(service, "/api/v1/whereabouts?journeyId=\(journey)", session: session)
            for one in answer?.json["items"]?.items ?? [] {
                places.append([
                    "service": one["service"]?.words ?? "", "queue": one["queue"]?.words ?? "",
                    "what": FlowWords.reason(one["what"]?.words ?? "", language), "ahead": one["ahead"]?.words ?? "0",
                    "since": one["since"]?.stringValue.flatMap { Timestamp($0) }.map { LocalTime.text($0) } ?? "",
                    "waitsFor": FlowWords.reason(one["waitsFor"]?.words ?? "", language),
                ])
            }
        }
        return places
    }

    private static func fields(_ service: ServiceIdentity, _ report: RawJSON?, _ language: Language) -> [String: Any] {
        var fields: [String: Any] = ["name": service.name]
        guard let report else {
            fields["away"] = true
            return fields
        }
        func seconds(_ json: RawJSON?) -> String { json?.doubleValue.map { HumanText.span($0, language) } ?? "" }
        let alarms = (report["missing"]?.items ?? []) + (report["alarms"]?.items ?? [])
        fields["alarms"] = alarms.map { ["words": $0.words] }
        fields["heads"] = (report["heads"]?.items ?? []).filter { $0["seq"]?.intValue != 0 }.map {
            ["name": $0["name"]?.words ?? "", "seq": $0["seq"]?.words ?? ""]
        }
        fields["takes"] = (report["takes"]?.items ?? []).filter {
            $0["head"]?.intValue != 0 || $0["stopped"] == .bool(true)
        }
        .map { one -> [String: Any] in
            let phase = one["phase"]?.words ?? ""
            let isStopped = one["stopped"] == .bool(true)
            return [
                "name": one["name"]?.words ?? "", "phase": FlowWords.phase(phase, language), "stopped": isStopped,
                "seq": one["seq"]?.words ?? "", "head": one["head"]?.words ?? "", "lag": one["lag"]?.words ?? "0",
                "isBehind": (one["lag"]?.intValue ?? 0) > 0, "lagSeconds": seconds(one["lagSeconds"]),
                "drain": seconds(one["drainSeconds"]), "refilled": one["refilled"]?.words ?? "0",
                "waitsFor": FlowWords.reason(one["waitsFor"]?.words ?? "", language), "service": service.name,
                "lastAlarm": one["lastAlarm"]?.words ?? "",
                "decisions": FlowWords.decisions(phase, language),
            ]
        }
        fields["queues"] = (report["queues"]?.items ?? []).filter { ($0["waiting"]?.intValue ?? 0) > 0 }.map {
            [
                "name": $0["name"]?.words ?? "", "waiting": $0["waiting"]?.words ?? "",
                "oldest": seconds($0["oldestSeconds"]), "isFlowing": $0["state"] == .string("flows"),
                "waitsFor": $0["waitsFor"]?.words ?? "",
            ] as [String: Any]
        }
        fields["parked"] = (report["parked"]?.items ?? []).map {
            [
                "reason": FlowWords.reason($0["reason"]?.words ?? "", language), "count": $0["count"]?.words ?? "",
                "service": service.name,
                "since": $0["since"]?.stringValue.flatMap { Timestamp($0) }.map { LocalTime.text($0) } ?? "",
            ]
        }
        return fields
    }
}

/// The flow's states as people say them.
enum FlowWords {
    static func phase(_ phase: String, _ language: Language) -> String {
        let words: [(String, String, String)] = [
            ("LIVE", "успевает", "live"), ("SYNCING", "догоняет", "catching up"),
            ("HELLO", "ждёт ответа", "waits for an answer"),
            ("INIT", "запускается", "starting"), ("PAUSED", "приостановлен", "paused"),
            ("SETTLING", "решение выполняется", "the decision is carried out"),
            ("FORKED", "истории разошлись", "histories differ"),
            ("HOLE", "часть событий уже не хранится", "a part is no longer kept"),
            ("QUARANTINED", "события повреждены", "events are damaged"),
        ]
        guard let known = words.first(where: { phase.hasPrefix($0.0) }) else { return phase }
        let detail = phase.dropFirst(known.0.count).drop { $0 == ":" || $0 == " " }
        return language.pick(known.1, known.2) + (detail.isEmpty ? "" : " (\(detail))")
    }

    /// Our own reasons in the reader's language; what PostgreSQL or an outside system said stays as it was said.
    static func reason(_ text: String, _ language: Language) -> String {
        let known = [
            "waits behind an earlier parked event of the same key":
                "стоит за более ранним отложенным сообщением с тем же ключом",
            "a person's decision": "решение человека", "a word of the publisher": "ответ отправителя",
            "the decision to be carried out": "выполнение решения", "its turn": "своей очереди",
            "said before the oldest copy of a stream that was settled after a fork: nobody knows whether it was done":
                "сказано раньше самой старой копии потока, восстановленного после развилки: выполнялось ли оно, неизвестно",
            "perhaps one further back": "возможно, дальше в очереди (так далеко не просмотрено)",
        ]
        if language == .ru, let russian = known[text] { return russian }
        let refused = "PostgreSQL refused: "
        return language == .ru && text.hasPrefix(refused) ? "отказ базы данных: \(text.dropFirst(refused.count))" : text
    }

    /// What may be decided in a phase.
    static func decisions(_ phase: String, _ language: Language) -> [[String: String]] {
        let all: [(String, String, String)] =
            if phase.hasPrefix("FORKED") {
                [
                    ("heal", "вернуть отправителю утраченное из копий", "refill the publisher from the copies"),
                    ("accept-loss", "принять потерю", "accept the loss"), ("retry", "спросить ещё раз", "ask again"),
                ]
            } else if phase.hasPrefix("HOLE") {
                [
                    ("bootstrap", "получить текущее состояние", "take the present state"),
                    ("accept-loss", "принять потерю", "accept the loss"),
                ]
            } else if phase.hasPrefix("QUARANTINED") {
                [("retry", "спросить ещё раз", "ask again")]
            } else if phase.hasPrefix("PAUSED") {
                [("resume", "продолжить", "resume")]
            } else if phase.hasPrefix("SETTLING") {
                []
            } else { [("pause", "приостановить", "pause")] }
        return all.map { ["value": $0.0, "words": language.pick($0.1, $0.2)] }
    }
}
