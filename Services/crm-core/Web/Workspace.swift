import Contracts
import HTTPTypes
import Hummingbird
import Messaging
import NIOCore
import Postgres
import Primitives
import ServiceKit

/// The pages that people work in.
struct Workspace: Sendable {
    let bus: EventBus
    let sessions: Sessions
    let settings: SuiteSettings
    let leads: LeadActions
    let deals: DealActions
    let orders: OrderRequest
    let api: API
    let renderer: PageRenderer
    let live: LivePages

    private var pool: PostgresPool { bus.pool }

    func add(to router: Router<ServiceRequestContext>) {
        addEntry(router)
        addRecords(router)
        addActions(router)
        addLive(router)
    }

    /// The caller, else the way to the log-in page.
    private func person(_ context: ServiceRequestContext) throws -> Caller {
        guard let caller = context.caller, caller.userID != nil else { throw LoginRequired() }
        return caller
    }

    private func redirect(_ to: String) -> Response { Response(status: .seeOther, headers: [.location: to]) }

    private func id(_ context: ServiceRequestContext) throws -> ID {
        guard let id = ID(try context.parameters.require("id")) else { throw Problem.notFound("page") }
        return id
    }

    // MARK: log in and out

    private func addEntry(_ router: Router<ServiceRequestContext>) {
        router.get("/login") { request, _ in
            try await renderer.page(
                "login", title: "Вход", ["company": settings.company.name], request, nil)
        }
        router.post("/login") { request, _ in
            let form = try await Form(request)
            do {
                let opened = try await sessions.open(
                    .init(login: form["login"] ?? "", password: form["password"] ?? ""),
                    address: request.clientAddress)
                return Response(
                    status: .seeOther,
                    headers: [.location: "/leads", .setCookie: Sessions.cookieHeader(opened)])
            } catch let problem as Problem {
                let words =
                    problem.status == .tooManyRequests
                    ? "Слишком много попыток. Подождите 15 минут." : "Неверный логин или пароль."
                return try await renderer.page(
                    "login", title: "Вход", ["company": settings.company.name, "error": words], request,
                    nil, status: problem.status)
            }
        }
        router.post("/logout") { request, context in
            let caller = try person(context)
            try sessions.checkCSRF(try await Form(request)["csrf"], caller)
            if let session = caller.sessionID { try await sessions.close(session) }
            return Response(
                status: .seeOther, headers: [.location: "/login", .setCookie: Sessions.clearedCookie])
        }
        router.post("/at-work") { request, context in
            let caller = try person(context)
            try sessions.checkCSRF(try await Form(request)["csrf"], caller)
            try await pool.query("UPDATE staff SET at_work = NOT at_work WHERE id = $1", [.id(caller.userID)])
            return redirect("/leads")
        }
        router.get("/") { _, context in
            _ = try person(context)
            return redirect("/leads")
        }
    }

    // MARK: records

    private func addRecords(_ router: Router<ServiceRequestContext>) {
        router.get("/leads") { request, context in
            let caller = try person(context)
            return try await renderer.page(
                "leads", title: "Заявки", try await myWork(caller), request, caller)
        }
        router.get("/leads/:id") { request, context in
            let caller = try person(context)
            let lead = try await api.lead(try id(context), caller)
            return try await renderer.page(
                "lead", title: "Заявка № \(lead.number)", try await fields(lead, request, caller), request,
                caller)
        }
        router.get("/deals/:id") { request, context in
            let caller = try person(context)
            let deal = try await api.deal(try id(context), caller)
            return try await renderer.page(
                "deal", title: "Сделка № \(deal.number)", try await fields(deal, request, caller), request,
                caller)
        }
        router.get("/orders/:id") { _, context in
            let caller = try person(context)
            guard let order = try await OrderView.load(try id(context), in: pool), let deal = order.dealId
            else { throw Problem.notFound("order") }
            _ = try await api.deal(deal, caller)
            return redirect("/deals/\(deal)")
        }
        router.get("/journeys/:id") { _, context in
            _ = try person(context)
            let rows = try await pool.query(
                "SELECT id, deal_id FROM lead WHERE journey_id = $1", [.id(try id(context))])
            guard let row = rows.first else { throw Problem.notFound("journey") }
            if let deal = try row.optionalID("deal_id") { return redirect("/deals/\(deal)") }
            return redirect("/leads/\(try row.id("id"))")
        }
        router.get("/companies/:id") { request, context in
            let caller = try person(context)
            return try await renderer.page(
                "company", title: "Компания", try await CompanyPage(pool: pool).fields(try id(context)),
                request, caller)
        }
        router.get("/search") { request, context in
            let caller = try person(context)
            let query = request.query("q") ?? ""
            let hits = try await Search(pool: pool).find(query, by: caller)
            let kinds = ["lead": "заявка", "deal": "сделка", "order": "заказ", "contact": "контакт", "company": "компания"]
            let items = hits.map { hit -> [String: Any] in
                let link = ["lead": "/leads/", "deal": "/deals/", "order": "/orders/", "company": "/companies/"][hit.kind]
                return [
                    "kind": kinds[hit.kind] ?? hit.kind, "number": hit.number ?? "", "title": hit.title,
                    "link": link.map { $0 + hit.id.description } ?? "#",
                ]
            }
            return try await renderer.page(
                "search", title: "Поиск", ["query": query, "hits": items, "empty": items.isEmpty], request, caller)
        }
    }

    private func myWork(_ caller: Caller) async throws -> [String: Any] {
        let owner = caller.seesAll ? nil : caller.userID
        let rows = try await pool.query(
            """
            \(LeadView.select) WHERE l.status IN ('new', 'taken') AND ($1::uuid IS NULL OR l.responsible_id = $1)
            ORDER BY l.next_task_at NULLS LAST, l.id LIMIT 200
            """, [.id(owner)])
        let now = Timestamp.now()
        let leads = try rows.map { row -> [String: Any] in
            let lead = try LeadView(row)
            let due = lead.nextTask?.dueAt
            let left = due.map { $0.seconds(since: now) }
            return [
                "id": lead.id.description, "number": lead.number, "name": lead.name ?? "",
                "status": RussianText.leadStatus(lead.status), "channel": lead.channel,
                "responsible": caller.seesAll ? lead.responsible ?? "не назначен" : "",
                "text": lead.text ?? "", "task": lead.nextTask?.text ?? "",
                "late": (left ?? 0) < 0,
                "due": left.map { $0 < 0 ? "просрочено на \(RussianText.span(-$0))" : "через \(RussianText.span($0))" }
                    ?? "без следующего шага",
            ]
        }
        let dealRows = try await pool.query(
            """
            \(DealView.select) WHERE d.outcome <> 'lost' AND ($1::uuid IS NULL OR d.responsible_id = $1)
            ORDER BY d.updated_at DESC LIMIT 100
            """, [.id(owner)])
        let deals = try dealRows.map { row -> [String: Any] in
            let deal = try DealView(row)
            return [
                "id": deal.id.description, "number": deal.number, "title": deal.title,
                "stage": RussianText.stage(deal.stage),
                "amount": deal.amount.map { RussianText.money($0) } ?? "",
            ]
        }
        let count = "\(leads.count) \(RussianText.plural(leads.count, "заявка", "заявки", "заявок"))"
        return ["leads": leads, "deals": deals, "empty": leads.isEmpty, "count": count]
    }

    private func parts(_ journey: ID, _ path: String, _ request: Request, _ caller: Caller) async throws
        -> [String: Any]
    {
        let fragments = Fragments(pool: pool)
        let language = renderer.language(request)
        let csrf = caller.sessionID.map { sessions.csrf($0) } ?? ""
        return [
            "chat": try await fragments.chat(journey, csrf: csrf, language),
            "line": try await fragments.line(journey, language),
            "liveScript": Fragments.liveScript(journey, path),
        ]
    }

    private func fields(_ lead: LeadView, _ request: Request, _ caller: Caller) async throws -> [String: Any] {
        let known = ["name", "phone"]
        let names = ["need": "Что нужно", "email": "E-mail"]
        let fields: [String: Any] = [
            "id": lead.id.description, "number": lead.number, "name": lead.name ?? "не назвался",
            "phone": lead.phone.flatMap { Phone($0)?.spoken } ?? "—", "confirmed": lead.phoneConfirmed,
            "channel": lead.channel, "campaign": lead.attribution.first?.campaignName ?? "",
            "responsible": lead.responsible ?? "не назначен",
            "status": RussianText.leadStatus(lead.status), "isNew": lead.status == "new",
            "isOpen": ["new", "taken"].contains(lead.status), "dealId": lead.dealId?.description ?? "",
            "currency": settings.company.currency.code,
            "answers": lead.answers.filter { !known.contains($0.key) }.sorted { $0.key < $1.key }.map {
                ["key": names[$0.key] ?? $0.key, "value": $0.value]
            },
        ]
        return fields.merging(
            try await parts(lead.journeyId, "/leads/\(lead.id)", request, caller)) { $1 }
    }

    private func fields(_ deal: DealView, _ request: Request, _ caller: Caller) async throws -> [String: Any] {
        var orders: [[String: Any]] = []
        for text in deal.orderIds {
            guard let id = ID(text), let order = try await OrderView.load(id, in: pool) else { continue }
            orders.append(Self.fields(order))
        }
        let leadID = try await pool.query("SELECT id FROM lead WHERE deal_id = $1", [.id(deal.id)])
            .first?.id("id")
        let company = try await pool.query("SELECT name FROM company WHERE id = $1", [.id(deal.companyId)])
            .first?.string("name")
        let fields: [String: Any] = [
            "id": deal.id.description, "number": deal.number, "title": deal.title,
            "stage": RussianText.stage(deal.stage),
            "amount": deal.amount.map { RussianText.money($0) } ?? "сумма не указана",
            "responsible": deal.responsible ?? "не назначен", "company": company ?? "",
            "companyId": deal.companyId?.description ?? "", "leadId": leadID?.description ?? "",
            "orderKey": ID.make().description, "orders": orders,
            "stages": DealActions.stages.map {
                ["key": $0, "value": RussianText.stage($0), "current": $0 == deal.stage] as [String: Any]
            },
        ]
        guard let journey = deal.journeyId else { return fields }
        return fields.merging(try await parts(journey, "/deals/\(deal.id)", request, caller)) { $1 }
    }

    private static func fields(_ order: OrderView) -> [String: Any] {
        let kinds = ["payment": "оплата", "refund": "возврат", "shipment": "отгрузка", "return": "возврат товара", "invoice": "счёт"]
        return [
            "number": order.number, "onec": order.onecNumber ?? "",
            "status": RussianText.orderStatus(order.status), "failure": order.failure ?? "",
            "total": RussianText.money(order.total ?? order.askedTotal),
            "paid": order.paid.map { RussianText.money($0) } ?? RussianText.payment(order.payment),
            "shipped": order.shipped.map { RussianText.money($0) } ?? RussianText.payment(order.shipment),
            "unknown": order.paidUnknown ?? "",
            "documents": order.documents.map {
                [
                    "kind": kinds[$0.kind] ?? $0.kind, "number": $0.number ?? "", "date": $0.date ?? "",
                    "amount": RussianText.money($0.amount), "exchange": $0.exchangeId?.description ?? "",
                ]
            },
        ]
    }

    // MARK: actions

    private func addActions(_ router: Router<ServiceRequestContext>) {
        func action(
            _ path: RouterPath,
            _ act: @escaping @Sendable (ID, Form, Caller) async throws -> String
        ) {
            router.post(path) { request, context in
                let caller = try person(context)
                let form = try await Form(request)
                try sessions.checkCSRF(form["csrf"], caller)
                return redirect(try await act(try id(context), form, caller))
            }
        }
        action("/leads/:id/take") { id, _, caller in
            try await leads.take(id, by: caller)
            return "/leads/\(id)"
        }
        action("/leads/:id/reject") { id, form, caller in
            try await leads.reject(id, reason: form["reason"] ?? "", by: caller)
            return "/leads"
        }
        action("/leads/:id/convert") { id, form, caller in
            let amount = try form.money("amount", settings.company.currency)
            let title = form["title"].flatMap { $0.isEmpty ? nil : $0 }
            let deal = try await leads.convert(
                id,
                .init(title: title, amount: amount, pipeline: nil, companyId: nil, organization: nil),
                by: caller)
            return "/deals/\(deal)"
        }
        action("/deals/:id/stage") { id, form, caller in
            try await deals.move(id, to: form["stage"] ?? "", lostReason: form["lostReason"], by: caller)
            return "/deals/\(id)"
        }
        action("/deals/:id/orders") { id, form, caller in
            guard let quantity = Quantity(form.number("quantity")), let price = Quantity(form.number("price"))
            else { throw Problem.invalid("количество и цена — числа") }
            let line = OrderRequest.Body.Line(
                sku: "", name: form["name"] ?? "", quantity: quantity, price: price, unit: nil, vat: nil,
                discount: nil)
            _ = try await orders.ask(
                id,
                .init(
                    kind: nil, organization: nil, lines: [line], currency: settings.company.currency,
                    address: nil, comment: nil), by: caller)
            return "/deals/\(id)"
        }
        action("/conversations/:id/reply") { id, form, caller in
            let text = (form["text"] ?? "").withoutNUL
            guard !text.isEmpty, text.count <= 4096, let user = caller.userID else {
                throw Problem.invalid("ответ — от 1 до 4096 знаков")
            }
            try await command(
                ReplyRequested(
                    conversationId: id, replyId: .make(), text: text, userId: user, by: caller.name), id)
            return "/journeys/\(form["journey"] ?? "")"
        }
        action("/conversations/:id/release") { id, form, caller in
            try await command(ReleaseRequested(conversationId: id, by: caller.name), id)
            return "/journeys/\(form["journey"] ?? "")"
        }
    }

    /// A command to the gateway, in answer to what was said last on the journey.
    private func command(_ data: some EventContract, _ conversation: ID) async throws {
        try await bus.transaction { transaction in
            let row = try await transaction.query(
                """
                SELECT journey_id, (SELECT s.id FROM journey_step s WHERE s.journey_id = c.journey_id
                    ORDER BY s.at DESC, s.id DESC LIMIT 1) AS last
                FROM conversation c WHERE id = $1 FOR UPDATE
                """, [.id(conversation)]
            ).first
            guard let row else { throw Problem.notFound("conversation") }
            try transaction.emit(
                data, key: conversation.description, correlation: try row.id("journey_id"),
                causation: try row.optionalID("last"), target: "bot-gateway")
        }
    }

    // MARK: live

    private func addLive(_ router: Router<ServiceRequestContext>) {
        router.get("/live/:id") { _, context in
            _ = try person(context)
            guard let changes = live.listen(try id(context)) else {
                throw Problem(.serviceUnavailable, "too-many-pages", "Too many pages are open")
            }
            let stream = ResponseBody { writer in
                try await writer.write(ByteBuffer(string: ": open\n\n"))
                for await _ in changes { try await writer.write(ByteBuffer(string: "data: changed\n\n")) }
                try await writer.finish(nil)
            }
            return Response(
                status: .ok,
                headers: [.contentType: "text/event-stream", .cacheControl: "no-store"], body: stream)
        }
        router.get("/live/:id/:box") { request, context in
            let caller = try person(context)
            let journey = try id(context)
            let parts = try await parts(journey, "", request, caller)
            let key = try context.parameters.require("box") == "chatbox" ? "chat" : "line"
            return Response.html(parts[key] as? String ?? "")
        }
    }
}

/// The fields of a submitted form.
struct Form: Sendable {
    private let fields: [String: String]

    init(_ request: Request) async throws {
        let bytes = try await request.bytes(limit: 64 * 1024)
        var fields: [String: String] = [:]
        for pair in String(decoding: bytes, as: UTF8.self).split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            fields[Self.decode(parts[0])] = parts.count > 1 ? Self.decode(parts[1]) : ""
        }
        self.fields = fields
    }

    subscript(name: String) -> String? { fields[name] }

    /// A number as people type it: `1 500,50`.
    func number(_ name: String) -> String {
        String((fields[name] ?? "").compactMap { $0.isWhitespace ? nil : $0 == "," ? "." : $0 })
    }

    func money(_ name: String, _ currency: Currency) throws -> Money? {
        let text = number(name)
        if text.isEmpty { return nil }
        guard let money = Money(text, currency) else { throw Problem.invalid("сумма — число, например 45000,00") }
        return money
    }

    private static func decode(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "+"): bytes.append(32)
            case UInt8(ascii: "%"):
                let pair = String(decoding: rest.prefix(2), as: UTF8.self)
                guard let value = UInt8(pair, radix: 16) else { continue }
                bytes.append(value)
                rest = rest.dropFirst(2)
            default: bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
