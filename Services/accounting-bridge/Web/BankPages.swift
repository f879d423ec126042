import Hummingbird
import Mustache
import Postgres
import Primitives
import ServiceKit

/// The bank in the browser, at `/journal/bank`: a statement is loaded, what waits is linked to its order, a client's «I have paid»
/// is followed. The workspace checks the forms' token before it hands them on.
struct BankPages: Sendable {
    let routes: BankRoutes
    let currency: Currency
    private let template: MustacheTemplate
    private let fallback: Language

    private static let pageLimit = 50
    private static let states = ["unmatched", "matched", "outgoing", "vanished"]

    init(_ routes: BankRoutes, settings: SuiteSettings) throws {
        self.routes = routes
        currency = settings.company.currency
        fallback = Language(rawValue: settings.company.locale) ?? .ru
        template = try MustacheTemplate(string: String(decoding: PackageResources.bank_mustache, as: UTF8.self))
    }

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/journal/bank") { request, context in
            let caller = try context.require("head", "manager", "accountant", "integrator")
            return try await page(request, caller)
        }
        router.post("/journal/bank") { request, context in
            let caller = try context.require("accountant", "head", "integrator")
            return try await back(request) {
                let report = try await routes.load(request, caller)
                return "?loaded=\(report.id)&state=\(report.unmatched > 0 ? "unmatched" : "matched")"
            }
        }
        router.post("/journal/match") { request, context in
            let caller = try context.require("accountant", "head")
            return try await back(request) {
                let form = try await Form(request)
                let share = BankMatching.Share(orderNumber: form["orderNumber"]?.trimmed ?? "", amount: nil)
                let id = try payment(form)
                try await routes.bus.transaction { try await routes.matching.match(id, [share], by: caller, in: $0) }
                return "?state=unmatched"
            }
        }
        router.post("/journal/unmatch") { request, context in
            let caller = try context.require("accountant", "head")
            return try await back(request) {
                let id = try payment(try await Form(request))
                try await routes.bus.transaction { try await routes.matching.unmatch(id, by: caller, in: $0) }
                return "?state=unmatched"
            }
        }
        router.get("/journal/claims/:id") { _, context in
            try context.require("accountant", "head", "manager")
            return try await routes.photo(try context.text("id"))
        }
        router.post("/journal/claims") { request, context in
            let caller = try context.require("accountant", "head", "manager")
            return try await back(request) {
                let body = try await request.bytes(limit: ClaimPhoto.sizeLimit + 64 * 1024)
                let form = try Form(request, body: body)
                let (claim, photo) = try BankRoutes.claim(form, currency)
                guard claim.amount != nil || photo != nil else {
                    throw Problem.invalid("укажите сумму или приложите фото")
                }
                let claims = PaymentClaims(pool: routes.bus.pool)
                let answer: PaymentClaims.Answer
                if let known = form["claim"].flatMap({ ID($0) }) {
                    answer = try await claims.trace(again: known, claim, isUnread: true, by: caller)
                } else {
                    answer = try await claims.trace(claim, photo: photo, by: caller)
                }
                let state = answer.payments.first?.state ?? "unmatched"
                return "?state=\(state)&traced=\(Form.encoded(answer.words))"
            }
        }
    }

    private static func unread(_ claim: PaymentClaims.Record) -> [String: Any] {
        [
            "claimId": claim.id.description, "claimBy": claim.by, "claimAt": LocalTime.text(claim.at),
            "claimOrder": claim.orderNumber ?? "",
        ]
    }

    private func payment(_ form: Form) throws -> ID {
        guard let id = form["payment"].flatMap({ ID($0) }) else { throw Problem.notFound("payment") }
        return id
    }

    /// Does it and goes back to the page, also with what was wrong.
    private func back(_ request: Request, _ act: () async throws -> String) async throws -> Response {
        let query: String
        do { query = try await act() } catch let problem as Problem {
            query = "?error=\(Form.encoded(problem.detail ?? problem.title))"
        }
        return Response(status: .seeOther, headers: [.location: "/journal/bank\(query)"])
    }

    private func page(_ request: Request, _ caller: Caller) async throws -> Response {
        let language = request.language(fallback)
        let pool = routes.bus.pool
        let state = request.query("state").flatMap { Self.states.contains($0) ? $0 : nil } ?? "unmatched"
        let payments = try await BankPayment.load(
            """
            state = $1 AND ($2::uuid IS NULL OR id < $2) AND ($3 OR direction = 'in')
            ORDER BY id DESC LIMIT \(Self.pageLimit + 1)
            """,
            [
                .text(state), .id(request.query("after").flatMap { ID($0) }), .bool(caller.seesOutgoing),
            ], in: pool)
        var counts: [String: Int64] = [:]
        for row in try await pool.query("SELECT state, count(*) AS n FROM bank_payment GROUP BY state") {
            counts[try row.string("state")] = try row.int("n")
        }
        let mayDecide = caller.isAdmin || !caller.roles.isDisjoint(with: ["accountant", "head"])
        let words = BankWords.all(language)
        let shown = payments.prefix(Self.pageLimit)
        var fields: [String: Any] = [
            "t": words, "csrf": request.headers[.formToken] ?? "", "state": state, "isEmpty": shown.isEmpty,
            "error": request.query("error") ?? "", "traced": request.query("traced") ?? "",
            "mayWork": mayDecide || caller.roles.contains("manager"),
            "unread": mayDecide || caller.roles.contains("manager")
                ? try await PaymentClaims(pool: pool).unread(limit: Self.pageLimit).map { Self.unread($0) } : [],
            "states": Self.states.map {
                [
                    "state": $0, "name": words[$0] ?? $0, "count": counts[$0].map { "\($0)" } ?? "",
                    "chosen": $0 == state,
                ]
                    as [String: Any]
            },
            "payments": shown.map { Self.fields($0, mayDecide: mayDecide, language) },
            "next": payments.count > Self.pageLimit ? shown.last?.id.description ?? "" : "",
        ]
        if let loaded = request.query("loaded").flatMap({ ID($0) }) {
            fields["loaded"] = try await summary(loaded, language)
        }
        return Response.html(template.render(filled(fields)))
    }

    private static func fields(_ payment: BankPayment, mayDecide: Bool, _ language: Language) -> [String: Any] {
        [
            "id": payment.id.description, "amount": HumanText.money(payment.amount, language),
            "date": HumanText.day(payment.date), "number": payment.number.isEmpty ? "—" : payment.number,
            "payer": payment.payer.name ?? "—", "inn": payment.payer.inn ?? "", "purpose": payment.purpose,
            "reason": payment.reason ?? "", "exchange": payment.exchangeId.description, "line": payment.line,
            "mayMatch": mayDecide && ["unmatched", "outgoing"].contains(payment.state),
            "mayUnmatch": mayDecide && payment.state == "matched",
            "allocations": payment.allocations.map {
                [
                    "number": $0.orderNumber, "amount": HumanText.money($0.amount, language),
                    "rule": BankWords.word("rule.\($0.rule)", language) + ($0.by.map { ", \($0)" } ?? ""),
                ]
            },
        ]
    }

    private func summary(_ statement: ID, _ language: Language) async throws -> [String: Any]? {
        let row = try await routes.bus.pool.query(
            """
            SELECT e.id, e.understood->>0 AS words, e.reason FROM bank_statement s JOIN exchange e ON e.id = s.exchange_id
            WHERE s.id = $1
            """, [.id(statement)]
        ).first
        guard let row else { return nil }
        let words = [try row.optionalString("words"), try row.optionalString("reason")].compactMap { $0 }
        return ["words": words.joined(separator: "; "), "exchange": try row.string("id")]
    }
}

/// The bank's words, Russian first.
enum BankWords {
    private static let table: [String: (ru: String, en: String)] = [
        "title": ("Журнал обмена с 1С", "Exchange with 1C"),
        "bank": ("Банк: оплаты по выпискам", "Bank: payments by statement"),
        "loadHint": (
            "Выписка из банк-клиента (формат 1С, kl_to_1c.txt)", "Statement of the bank (1C's format, kl_to_1c.txt)"
        ),
        "load": ("Загрузить", "Load"), "file": ("файл", "file"), "line": ("строка", "line"),
        "photo": ("Фото платёжки", "Photo of the payment order"), "openPhoto": ("Открыть фото", "Open the photo"),
        "unreadPhotos": ("Фото платёжек ждут человека", "Photos that wait for a person"),
        "claimHint": (
            "Клиент говорит, что оплатил? Проверим банк, очередь и 1С.",
            "A client says that he has paid? Bank, queue and 1C are asked."
        ),
        "sum": ("Сумма", "Sum"), "day": ("Дата платёжки", "Its date"), "number": ("Номер платёжки", "Its number"),
        "inn": ("ИНН", "INN"), "order": ("Заказ", "Order"), "orderNumber": ("Номер заказа", "Order number"),
        "trace": ("Найти оплату", "Find it"), "match": ("Привязать к заказу", "Link to the order"),
        "unmatch": ("Отменить привязку", "Undo the link"), "older": ("раньше", "older"),
        "noPayments": ("Здесь пусто.", "Nothing here."), "unmatched": ("не сопоставлены", "waiting"),
        "matched": ("сопоставлены", "matched"), "outgoing": ("расход", "outgoing"),
        "vanished": ("исчезли из выписки", "vanished"), "rule.told": ("та же оплата пришла из 1С", "1C told the same"),
        "rule.number": ("по номеру в назначении", "by the number in the purpose"),
        "rule.sum": ("по ИНН и сумме", "by INN and sum"),
        "rule.only_order": ("единственный открытый заказ", "the only open order"),
        "rule.person": ("вручную", "by hand"),
    ]

    static func word(_ key: String, _ language: Language) -> String {
        table[key].map { language.pick($0.ru, $0.en) } ?? key
    }

    static func all(_ language: Language) -> [String: String] { table.mapValues { language.pick($0.ru, $0.en) } }
}
