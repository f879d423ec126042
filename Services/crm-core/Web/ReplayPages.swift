import Contracts
import Hummingbird
import Primitives
import ServiceKit

/// `/replays`: messages done again, in three steps that a person sees: the frozen list, what it would change, and then exactly it.
struct ReplayPages: Sendable {
    let sessions: Sessions
    let renderer: PageRenderer
    let others: OtherServices
    /// The bases of 1C that there are.
    let bases: [String]

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/replays") { request, context in
            let caller = try context.person()
            try context.requireReplays()
            let session = try OtherServices.session(request, context)
            let language = renderer.language(request)
            var replays: [[String: Any]] = []
            for service in ServiceIdentity.allCases {
                let answer = try? await others.get(service, "/api/v1/replays?limit=50", session: session)
                replays += (answer?.json["items"]?.items ?? []).map { summary($0, service.name, language) }
            }
            replays.sort { ($0["order"] as? String ?? "") > ($1["order"] as? String ?? "") }
            let chosen = request.query("service") ?? ServiceIdentity.crmCore.name
            let fields: [String: Any] = [
                "replays": replays, "isEmpty": replays.isEmpty, "error": request.query("error") ?? "",
                "services": ServiceIdentity.allCases.map {
                    ["name": $0.name, "chosen": $0.name == chosen] as [String: Any]
                },
                "bases": bases,
                "exchangeKinds": ["order", "document", "file", "catalog", "report", "sent"].map {
                    ["kind": $0, "word": ScreenTexts.word("exchangeKind.\($0)", language)]
                },
            ]
            return try await renderer.page(
                "replays", title: ScreenTexts.word("replays", language), fields, request, caller)
        }
        router.get("/replays/:service/:id") { request, context in
            let caller = try context.person()
            try context.requireReplays()
            let session = try OtherServices.session(request, context)
            let (service, id) = try place(context)
            let after = request.query("after").map { "?after=\(Int($0) ?? 0)" } ?? ""
            let answer = try await others.get(service, "/api/v1/replays/\(id)\(after)", session: session)
            try FlowPages.expect(answer)
            let language = renderer.language(request)
            return try await renderer.page(
                "replay", title: ScreenTexts.word("replay", language), fields(answer.json, service.name, language),
                request,
                caller)
        }
        router.post("/replays") { request, context in
            let (form, session) = try await submitted(request, context)
            // Exchanges with 1C are the bridge's, whoever was chosen.
            let named = form["source"] == "exchanges" ? ServiceIdentity.accountingBridge.name : form["service"]
            guard let service = named.flatMap({ ServiceIdentity(rawValue: $0) }) else {
                throw Problem.badRequest("service is wanted")
            }
            let body = RawJSON.object(["filter": try filter(form), "dryRun": .bool(true)])
            let answer = try await others.post(service, "/api/v1/replays", body, session: session)
            try FlowPages.expect(answer)
            return Response.redirect("/replays/\(service.name)/\(answer.json["id"]?.words ?? "")")
        }
        for verb in ["apply", "cancel"] {
            router.post("/replays/:service/:id/\(verb)") { request, context in
                let (_, session) = try await submitted(request, context)
                let (service, id) = try place(context)
                try FlowPages.expect(
                    try await others.post(service, "/api/v1/replays/\(id)/\(verb)", .object([:]), session: session))
                return Response.redirect("/replays/\(service.name)/\(id)")
            }
        }
    }

    private func submitted(_ request: Request, _ context: ServiceRequestContext) async throws -> (Form, String) {
        let caller = try context.person()
        try context.requireReplaying()
        let form = try await Form(request)
        try sessions.checkCSRF(form["csrf"], caller)
        return (form, try OtherServices.session(request, context))
    }

    private func place(_ context: ServiceRequestContext) throws -> (ServiceIdentity, ID) {
        guard let service = context.parameters.get("service").flatMap({ ServiceIdentity(rawValue: $0) }),
            let id = context.parameters.get("id").flatMap({ ID($0) })
        else { throw Problem.notFound("replay") }
        return (service, id)
    }

    private func filter(_ form: Form) throws -> RawJSON {
        let source = form["source"].flatMap { ["taken", "exchanges"].contains($0) ? $0 : nil } ?? "parked"
        var filter: [String: RawJSON] = ["source": .string(source)]
        // Of exchanges other things are asked than of messages.
        let names =
            source == "exchanges"
            ? ["base", "kind", "counterparty", "order", "error"] : ["error", "text", "publisher", "journeyId"]
        for name in names {
            if let value = form.filled(name) { filter[name] = .string(value) }
        }
        for (name, list) in source == "exchanges" ? [] : [("type", "types"), ("key", "keys")] {
            if let value = form.filled(name) { filter[list] = .array([.string(value)]) }
        }
        for name in ["from", "to"] {
            guard let text = form.filled(name) else { continue }
            guard let time = LocalTime.moment(text) else { throw Problem.badRequest("\(name): «\(text)» is no time") }
            filter[name] = .string(time.description)
        }
        return .object(filter)
    }

    private func summary(_ replay: RawJSON, _ service: String, _ language: Language) -> [String: Any] {
        let state = replay["state"]?.words ?? ""
        let at = replay["plannedAt"]?.stringValue.flatMap { Timestamp($0) }
        return [
            "id": replay["id"]?.words ?? "", "service": service, "state": StateWords.replay(state, language),
            "at": at.map { LocalTime.text($0) } ?? "", "order": replay["plannedAt"]?.words ?? "",
            "by": replay["plannedBy"]?.words ?? "", "filter": filterWords(replay["filter"], language),
        ]
    }

    /// A filter as a sentence of its parts.
    private func filterWords(_ filter: RawJSON?, _ language: Language) -> String {
        var filter = filter
        if case .string(let text)? = filter { filter = try? JSON.decode(RawJSON.self, from: text.utf8) }
        guard case .object(let fields)? = filter else { return "" }
        return fields.sorted { $0.key < $1.key }.map { name, value in
            let shown = value.items.isEmpty ? value.words : value.items.map(\.words).joined(separator: ", ")
            let word = ScreenTexts.word("\(name == "kind" ? "exchangeKind" : "filter").\(shown)", language)
            return "\(ScreenTexts.word("filter.\(name)", language)): \(word)"
        }.joined(separator: "; ").replacing("filter.", with: "")
    }

    private func fields(_ replay: RawJSON, _ service: String, _ language: Language) -> [String: Any] {
        let state = replay["state"]?.words ?? ""
        let seen = replay["differences"]
        func pairs(_ json: RawJSON?) -> [[String: String]] {
            guard case .object(let fields)? = json else { return [] }
            return fields.sorted { $0.key < $1.key }.map { ["key": $0.key, "value": $0.value.words] }
        }
        let count = Int(replay["count"]?.intValue ?? 0)
        return [
            "id": replay["id"]?.words ?? "", "service": service, "state": StateWords.replay(state, language),
            "isPlanned": state == "planned", "isApplying": state == "applying", "isEmpty": count == 0,
            "count": language.pick(
                "\(count) " + HumanText.plural(count, "сообщение", "сообщения", "сообщений"),
                "\(count) message\(count == 1 ? "" : "s")"),
            "by": replay["plannedBy"]?.words ?? "", "appliedBy": replay["appliedBy"]?.words ?? "",
            "filter": filterWords(replay["filter"], language),
            "outcomes": pairs(replay["counts"]).map {
                ["key": StateWords.outcome($0["key"] ?? "", language), "value": $0["value"] ?? ""]
            },
            "hasPreview": seen != nil && seen != .null, "tried": seen?["tried"]?.words ?? "0",
            "wouldSucceed": seen?["wouldSucceed"]?.words ?? "0", "changeNothing": seen?["changeNothing"]?.words ?? "0",
            "wouldFail": pairs(seen?["wouldFail"]), "says": pairs(seen?["says"]),
            "changes": (seen?["changes"]?.items ?? []).map {
                [
                    "table": ScreenTexts.word("table.\($0["table"]?.words ?? "")", language).replacing(
                        "table.", with: ""),
                    "added": $0["added"]?.words ?? "0", "changed": $0["changed"]?.words ?? "0",
                    "removed": $0["removed"]?.words ?? "0",
                ]
            },
            "items": (replay["items"]?.items ?? []).map {
                [
                    "place": $0["place"]?.words ?? "", "type": $0["type"]?.words ?? "", "key": $0["key"]?.words ?? "",
                    "sequence": "\($0["sequence"]?.words ?? "")#\($0["seq"]?.words ?? "")",
                    "at": $0["at"]?.stringValue.flatMap { Timestamp($0) }.map { LocalTime.text($0) } ?? "",
                    "outcome": StateWords.outcome($0["outcome"]?.words ?? "", language),
                    "reason": FlowWords.reason($0["reason"]?.words ?? "", language),
                ]
            },
            "next": replay["next"]?.stringValue ?? "",
        ]
    }
}
