import Hummingbird
import Mustache
import Postgres
import Primitives
import ServiceKit

/// The exchange journal in the browser; the workspace forwards `/journal` here.
struct JournalPages: Sendable {
    let journal: JournalAPI
    private let library: MustacheLibrary
    private let fallback: Language

    private static let pageLimit = 100
    /// Bytes of a request or an answer that a page shows; the API gives all of it.
    private static let shownBytes = 200_000

    init(_ journal: JournalAPI, locale: String) throws {
        self.journal = journal
        fallback = Language(rawValue: locale) ?? .ru
        func template(_ bytes: [UInt8]) throws -> MustacheTemplate {
            try MustacheTemplate(string: String(decoding: bytes, as: UTF8.self))
        }
        library = MustacheLibrary(templates: [
            "journal": try template(PackageResources.journal_mustache),
            "exchange": try template(PackageResources.exchange_mustache),
        ])
    }

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/journal") { request, context in
            let caller = try context.require("head", "manager", "accountant", "integrator")
            return try await list(request, request.language(fallback), caller)
        }
        for (verb, isPaused) in [("pause", true), ("resume", false)] {
            router.post("/journal/\(verb)") { request, context in
                let caller = try context.require("head", "accountant", "integrator")
                try await journal.setPause(try await Form(request)["base"] ?? "", isPaused ? caller.name : nil)
                return Response(status: .seeOther, headers: [.location: "/journal"])
            }
        }
        router.get("/journal/:id") { request, context in
            let caller = try context.require("head", "manager", "accountant", "integrator")
            let row = try await journal.exchange(context, caller)
            let language = request.language(fallback)
            var fields = Self.fields(try JournalAPI.view(row, isOpen: caller.seesParticulars), language)
            fields["t"] = JournalWords.all(language)
            fields["mayTake"] = caller.seesParticulars
            fields["request"] = Self.shown(try row.bytes("request"), language, caller)
            fields["answer"] = Self.shown(try row.optionalBytes("answer") ?? [], language, caller)
            return page("exchange", fields)
        }
        router.get("/journal/request/:id") { _, context in try await raw("request", context) }
        router.get("/journal/answer/:id") { _, context in try await raw("answer", context) }
    }

    /// The bytes as they came, or as they were answered.
    private func raw(_ part: String, _ context: ServiceRequestContext) async throws -> Response {
        let caller = try context.require("head", "accountant", "integrator")
        let row = try await journal.exchange(context, caller)
        let bytes = try row.optionalBytes(part) ?? []
        return Response(
            status: .ok,
            headers: [
                .contentType: "application/octet-stream",
                .contentDisposition: "attachment; filename=\"\(part)-\(try row.id("id")).bin\"",
                .xContentTypeOptions: "nosniff",
            ], body: .init(byteBuffer: .init(bytes: bytes)))
    }

    private func list(_ request: Request, _ language: Language, _ caller: Caller) async throws -> Response {
        let rows = try await JournalSearch(request).find(in: journal.bus.pool, limit: Self.pageLimit + 1)
        let views = try rows.prefix(Self.pageLimit).map {
            try JournalAPI.view($0, isOpen: caller.seesParticulars)
        }
        let bases = try await BaseStates(pool: journal.bus.pool, settings: journal.settings).all().map {
            Self.fields($0, language)
        }
        let sought = request.query("q") ?? ""
        let orders = try await OrderStories(pool: journal.bus.pool).find(sought)
        return page(
            "journal",
            [
                "q": sought, "noOrders": !sought.isEmpty && orders.isEmpty,
                "orders": orders.map {
                    [
                        "number": $0.number, "place": Form.encoded($0.number), "client": $0.client, "base": $0.base,
                        "onecNumber": $0.onecNumber ?? "",
                        "state": JournalWords.word("order.\($0.state)", language), "at": LocalTime.text($0.at),
                    ]
                },
                "t": JournalWords.all(language), "items": views.map { Self.fields($0, language) },
                "empty": views.isEmpty && Self.sought(request).isEmpty,
                "nothing": views.isEmpty && !Self.sought(request).isEmpty,
                "bases": bases, "csrf": request.headers[.formToken] ?? "",
                "mayPause": caller.isAdmin || !caller.roles.isDisjoint(with: ["accountant", "head", "integrator"]),
                "next": rows.count > Self.pageLimit
                    ? (Self.sought(request) + ["after=\(views.last?.id.description ?? "")"]).joined(separator: "&") : ""
                    ,
            ].merging(filterFields(request, language)) { first, _ in first })
    }

    /// What a person may narrow the list by, besides an order and its client, for whom there is the question above it.
    private static let filters = [
        "base", "direction", "status", "kind", "from", "to", "text", "journeyId", "order", "counterparty",
    ]

    /// The question once more, for the next page.
    private static func sought(_ request: Request) -> [String] {
        filters.compactMap { name in
            request.query(name)?.nonEmpty.map { "\(name)=\(Form.encoded($0))" }
        }
    }

    private func filterFields(_ request: Request, _ language: Language) -> [String: Any] {
        func choices(_ name: String, _ values: [(value: String, word: String)]) -> [[String: Any]] {
            let chosen = request.query(name) ?? ""
            return values.map { ["value": $0.value, "word": $0.word, "chosen": $0.value == chosen] }
        }
        func words(_ values: [String]) -> [(String, String)] {
            values.map { ($0, JournalWords.word($0, language)) }
        }
        return [
            "baseChoices": choices("base", journal.settings.bases.map { ($0.base, $0.base) }),
            "directionChoices": choices("direction", words(["in", "out"])),
            "resultChoices": choices("status", words(["ok", "parked", "refused", "failed", "open"])),
            "kindChoices": choices("kind", words(JournalWords.kinds).sorted { $0.1 < $1.1 }),
            "from": request.query("from") ?? "", "to": request.query("to") ?? "", "text": request.query("text") ?? "",
            "isSought": !Self.sought(request).isEmpty,
        ]
    }

    private static func fields(_ base: BaseStates.View, _ language: Language) -> [String: Any] {
        func word(_ key: String) -> String { JournalWords.word(key, language) }
        var facts = [
            "\(word("waiting")): \(base.waiting)",
            "\(word("lastSuccess")): \(base.lastSuccess.map { LocalTime.text($0) } ?? "—")",
        ]
        if base.doubtful > 0 { facts.append("\(word("inDoubt")): \(base.doubtful)") }
        if base.waiting > 0, let lag = base.lagOutSeconds {
            facts.append("\(word("lagOut")): \(HumanText.span(lag, language))")
        }
        if let lag = base.lagInSeconds { facts.append("\(word("lagIn")): \(HumanText.span(lag, language))") }
        if base.waiting > 0 {
            facts.append(
                "\(word("drain")): \(base.drainSeconds.map { HumanText.span($0, language) } ?? word("unknown"))")
        }
        if base.exchanges > 0 {
            let share = (100 * Double(base.troubles) / Double(base.exchanges)).rounded()
            facts.append("\(word("errorShare")): \(base.troubles) / \(base.exchanges) (\(Int(share)) %)")
        }
        if base.duplicatesPrevented > 0 { facts.append("\(word("prevented")): \(base.duplicatesPrevented)") }
        if let hours = base.quietHours { facts.append("\(word("quiet")): \(hours)") }
        return [
            "base": base.base, "facts": facts, "alarms": base.alarms.map(\.cause),
            "paused": base.pausedBy.map { "\(word("pausedBy")): \($0)" } ?? "",
            "until": base.breakerUntil.map { "\(word("breakerOpen")) \(LocalTime.clock($0))" } ?? "",
            "cannotTell": base.cannotTell == nil ? "" : word("cannotTell"),
        ]
    }

    private func page(_ name: String, _ fields: [String: Any]) -> Response {
        Response.html(library.render(filled(fields), withTemplate: name) ?? "")
    }

    /// Bytes as a person reads them, whatever encoding another program wrote them in.
    private static func shown(_ bytes: [UInt8], _ language: Language, _ caller: Caller) -> String {
        if bytes.starts(with: Array("PK".utf8)) || bytes.prefix(shownBytes).contains(0) {
            return "\(JournalWords.word("binary", language)): \(bytes.count) \(JournalWords.word("byteUnit", language))"
        }
        let isCut = bytes.count > shownBytes
        let whole = ForeignText(isCut ? ForeignText.wholeCharacters(bytes.prefix(shownBytes)) : bytes).text
        let text = caller.seesParticulars ? whole : Masking.covered(whole)
        return isCut ? text + "\n… \(JournalWords.word("cut", language))" : text
    }

    private static func fields(_ view: JournalAPI.ExchangeView, _ language: Language) -> [String: Any] {
        [
            "id": view.id.description, "at": LocalTime.text(view.at), "base": view.base ?? "—",
            "kind": JournalWords.word(view.kind, language), "result": JournalWords.word(view.result, language),
            "colour": ["ok": "success", "open": "secondary"][view.result] ?? "danger",
            "reason": view.reason ?? "", "understood": view.understood.joined(separator: "; "),
            "target": view.target, "method": view.method, "status": view.status.map { String($0) } ?? "",
            "journeys": view.journeyIds,
        ]
    }
}
