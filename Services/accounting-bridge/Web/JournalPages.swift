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
            "goods": try template(PackageResources.goods_mustache),
        ])
    }

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/journal") { request, context in
            let caller = try context.require("head", "manager", "accountant", "integrator")
            return try await list(request, request.language(fallback), caller)
        }
        router.get("/journal/goods") { request, context in
            try context.require("head", "manager", "accountant", "integrator")
            return try await goods(request, request.language(fallback))
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
                        "number": $0.number, "client": $0.client, "base": $0.base, "onecNumber": $0.onecNumber ?? "",
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

    private func goods(_ request: Request, _ language: Language) async throws -> Response {
        let text = request.query("q") ?? ""
        let items = try await GoodsAPI(pool: journal.bus.pool).list(
            base: nil, text: text, after: request.query("after"), limit: Self.pageLimit + 1)
        let shown = items.prefix(Self.pageLimit)
        return page(
            "goods",
            [
                "t": JournalWords.all(language), "q": text, "isEmpty": shown.isEmpty,
                "items": shown.map { Self.fields($0, language) },
                "next": items.count > Self.pageLimit ? shown.last.map { "\($0.base) \($0.id)" } ?? "" : "",
            ])
    }

    private static func fields(_ good: GoodsAPI.Good, _ language: Language) -> [String: Any] {
        func quantity(_ text: String) -> String { language == .ru ? text.replacing(".", with: ",") : text }
        return [
            "name": good.name, "sku": good.sku ?? "", "base": good.base, "asOf": LocalTime.text(good.asOf),
            "deleted": good.deleted, "groups": good.groups,
            "offers": good.offers.prefix(offersShown).map { offer -> [String: Any] in
                [
                    "variant": offer.characteristics.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
                        .joined(separator: ", "),
                    "prices": offer.prices.map {
                        "\($0.type) \(HumanText.money(Self.twoPlaces($0.amount), $0.currency ?? "", language))"
                    }.joined(separator: ", "),
                    "stock": offer.stock.map {
                        ($0.warehouse.map { "\($0) " } ?? "") + quantity($0.quantity)
                    }.joined(separator: ", "),
                ]
            },
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
        if base.duplicatesPrevented > 0 { facts.append("\(word("prevented")): \(base.duplicatesPrevented)") }
        if let hours = base.quietHours { facts.append("\(word("quiet")): \(hours)") }
        return [
            "base": base.base, "facts": facts, "alarms": base.alarms.map(\.cause),
            "paused": base.pausedBy.map { "\(word("pausedBy")): \($0)" } ?? "",
            "until": base.breakerUntil.map { "\(word("breakerOpen")) \(LocalTime.clock($0))" } ?? "",
            "cannotTell": base.cannotTell == nil ? "" : word("cannotTell"),
        ]
    }

    /// Offers of one good that a page shows.
    private static let offersShown = 20

    private static func twoPlaces(_ amount: String) -> String { Quantity(amount)?.twoPlaces ?? amount }

    private func page(_ name: String, _ fields: [String: Any]) -> Response {
        Response.html(library.render(filled(fields), withTemplate: name) ?? "")
    }

    /// Bytes as a person reads them, whatever encoding another program wrote them in.
    private static func shown(_ bytes: [UInt8], _ language: Language, _ caller: Caller) -> String {
        if bytes.starts(with: Array("PK".utf8)) || bytes.prefix(shownBytes).contains(0) {
            return "\(JournalWords.word("binary", language)): \(bytes.count) \(JournalWords.word("byteUnit", language))"
        }
        let isCut = bytes.count > shownBytes
        let whole = ForeignText(isCut ? wholeCharacters(bytes.prefix(shownBytes)) : bytes).text
        let text = caller.seesParticulars ? whole : Masking.covered(whole)
        return isCut ? text + "\n… \(JournalWords.word("cut", language))" : text
    }

    /// Without a character of UTF-8 that the cut went through.
    private static func wholeCharacters(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var end = bytes.endIndex
        while end > bytes.startIndex, bytes.endIndex - end < 3, bytes[end - 1] & 0xC0 == 0x80 { end -= 1 }
        return Array(end > bytes.startIndex && bytes[end - 1] >= 0xC0 ? bytes[..<(end - 1)] : bytes[..<end])
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

/// The journal's words, Russian first.
enum JournalWords {
    private static let table: [String: (ru: String, en: String)] = [
        "goods": ("Товары 1С", "1C's goods"), "goodsHint": ("название, артикул, штрихкод", "name, article, barcode"),
        "find": ("Найти", "Find"),
        "noGoods": ("Товаров нет: 1С их ещё не выгружала.", "No goods: 1C has not sent any yet."),
        "deleted": ("удалён", "deleted"), "sku": ("арт.", "art."), "stock": ("остаток", "stock"),
        "catalog.checkauth": ("вход", "log-in"), "catalog.init": ("начало", "beginning"),
        "catalog.file": ("файл товаров", "file of goods"), "catalog.import": ("загрузка товаров", "import of goods"),
        "whyHint": ("номер заказа, клиент или ИНН", "order number, client or INN"),
        "why": ("Что с заказом?", "What of an order?"), "noOrders": ("Таких заказов нет.", "No such orders."),
        "order": ("Заказ", "Order"), "inn": ("ИНН", "INN"), "again": ("Повторить", "Do it again"),
        "bytes": ("исходные данные", "raw data"), "order.ready": ("ждёт 1С", "waits for 1C"),
        "order.sent": ("в 1С", "in 1C"), "order.refused": ("отложен", "set aside"),
        "bank": ("Банк", "Bank"), "bank.statement": ("выписка банка", "bank statement"),
        "title": ("Журнал обмена с 1С", "Exchange with 1C"), "all": ("все", "all"),
        "parked": ("отложен", "parked"), "refused": ("отказ", "refused"), "ok": ("выполнен", "done"),
        "open": ("без ответа", "no answer"), "failed": ("ошибка", "failed"),
        "waiting": ("заказов ждёт", "orders waiting"), "lastSuccess": ("последний обмен", "last exchange"),
        "empty": (
            "Обменов пока не было. Настройте 1С по инструкции «Подключение».",
            "No exchange yet. Set 1C up as “Connecting” says."
        ),
        "older": ("раньше", "older"), "journey": ("Сквозной путь", "Journey"), "request": ("Запрос", "Request"),
        "answer": ("Ответ", "Answer"), "cut": ("показано начало, остальное в API", "cut here, the API has the rest"),
        "clients": ("Клиенты 1С", "1C's clients"), "openIn1C": ("Открыть в 1С", "Open in 1C"),
        "inDoubt": ("проверяем, дошли ли", "looking whether they arrived"),
        "lagOut": ("ждут", "wait for"),
        "lagIn": ("с последнего чтения ответов прошло", "since answers were last read"),
        "drain": ("пройдут за", "through in"),
        "unknown": ("неизвестно", "unknown"), "prevented": ("двойных документов предотвращено", "duplicates prevented"),
        "quiet": ("тихие часы", "quiet hours"), "pausedBy": ("приостановил", "paused by"),
        "breakerOpen": ("не отвечает, следующая попытка в", "does not answer, next attempt at"),
        "pause": ("Приостановить", "Pause"), "resume": ("Возобновить", "Resume"),
        "order.sending": ("передаётся", "being sent"), "order.doubtful": ("проверяется", "being looked up"),
        "odata.order": ("заказ в 1С", "order to 1C"), "odata.post": ("проведение", "posting"),
        "odata.find": ("поиск в 1С", "look-up in 1C"), "odata.client": ("контрагент в 1С", "counterparty in 1C"),
        "odata.clients": ("чтение контрагентов", "reading of counterparties"),
        "odata.state": ("состояние заказов", "state of orders"),
        "odata.changes": ("вопрос об изменениях", "question for changes"),
        "odata.received": ("подтверждение изменений", "confirmation of changes"),
        "odata.metadata": ("описание базы", "description of the base"),
        "folder.order": ("заказ в папку", "order to the folder"),
        "enterprise.order": ("регистрация заказа", "registration of an order"),
        "enterprise.again": ("отправка снова", "sending again"),
        "enterprise.find": ("поиск заказа", "look-up of an order"),
        "enterprise.message": ("сообщение EnterpriseData", "message of EnterpriseData"),
        "folder.report": ("отчёт из папки", "report from the folder"),
        "cannotTell": (
            "частичные оплаты: эта база ещё не присылала их документами",
            "partial payments: this base has not sent them as documents yet"
        ),
        "in": ("от 1С", "from 1C"), "out": ("в 1С", "to 1C"), "base": ("база", "base"),
        "direction": ("направление", "direction"), "result": ("итог", "result"), "kind": ("вид", "kind"),
        "from": ("с", "from"), "to": ("по", "to"), "text": ("текст", "text"), "search": ("Показать", "Show"),
        "filter": ("Отобрать обмены", "Narrow the exchanges"), "reset": ("Сбросить", "Reset"),
        "nothing": ("Таких обменов нет.", "No such exchanges."),
        "binary": ("двоичные данные", "binary data"), "byteUnit": ("байт", "bytes"),
        "download": ("скачать как есть", "download as it is"),
        "sale.checkauth": ("вход", "log-in"), "sale.init": ("начало", "beginning"),
        "sale.query": ("запрос заказов", "query of orders"), "sale.success": ("подтверждение", "acknowledgement"),
        "sale.file": ("файл от 1С", "file from 1C"), "sale.import": ("загрузка файла", "import of a file"),
    ]

    /// Kinds of exchanges that have words.
    static let kinds = table.keys.filter { $0.contains(".") && !$0.hasPrefix("order.") }

    static func word(_ key: String, _ language: Language) -> String {
        table[key].map { language.pick($0.ru, $0.en) } ?? key
    }

    static func all(_ language: Language) -> [String: String] {
        table.mapValues { language.pick($0.ru, $0.en) }
    }
}
