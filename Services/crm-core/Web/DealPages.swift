import Hummingbird
import Messaging
import Postgres
import Primitives
import ServiceKit

/// A deal with its orders, chat and line, and what a person does with it.
struct DealPages: Sendable {
    let bus: EventBus
    let sessions: Sessions
    let settings: SuiteSettings
    let deals: DealActions
    let orders: OrderRequest
    let books: OwnBooks
    let changes: OrderChanges
    let invoices: Invoices
    let questions: OnecQuestions
    let renderer: PageRenderer
    let talk: TalkPages

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/deals/:id") { request, context in
            let caller = try context.person()
            let deal = try await DealView.load(try context.id("deal"), for: caller, in: bus.pool)
            return try await page(deal, request, caller)
        }
        router.post("/deals/:id/prices") { request, context in
            let (caller, form) = try await submitted(request, context)
            let deal = try await DealView.load(try context.id("deal"), for: caller, in: bus.pool)
            let client = try await orders.client(of: deal.id, in: bus.pool)
            let quoted = try await questions.price(
                of: form, for: client, organization: deal.organization, currency: settings.company.currency,
                session: try OtherServices.session(request, context), renderer.language(request))
            return try await page(deal, request, caller, quoted)
        }
        router.get("/orders/:id/receipts") { request, context in
            let (order, caller) = try await seen(context)
            let fields = try await questions.receipts(
                of: order, session: try OtherServices.session(request, context), renderer.language(request))
            let title = ScreenTexts.word("receipts", renderer.language(request))
            return try await renderer.page("receipts", title: "\(title) № \(order.number)", fields, request, caller)
        }
        router.get("/orders/:id/receipts/:base/:receipt") { request, context in
            let order = try await seen(context).order
            return try await questions.print(
                try context.text("receipt"), of: try context.text("base"), order: order,
                session: try OtherServices.session(request, context))
        }
        router.action("/orders/:id/invoice", sessions) { id, form, caller in
            let word = Invoices.Word(state: form["state"] ?? "", note: form.filled("note"))
            _ = try await bus.transaction { transaction in
                if form["undo"] == "true" {
                    try await invoices.unmark(id, word.state, by: caller, in: transaction)
                } else {
                    try await invoices.mark(id, word, by: caller, in: transaction)
                }
            }
            return "/orders/\(id)"
        }
        router.action("/deals/:id/stage", sessions) { id, form, caller in
            try await bus.transaction {
                try await deals.move(
                    id, to: form["stage"] ?? "", lostReason: form.filled("lostReason"), by: caller, in: $0)
            }
            return "/deals/\(id)"
        }
        router.action("/deals/:id/orders", sessions) { id, form, caller in
            let body = try body(form)
            // The form carries a key of its own: a second press asks for no second order.
            _ = try await Idempotency(bus: bus).once(
                form.filled("key") ?? ID.make().description, route: "/deals/\(id)/orders", caller, []
            ) { transaction, _ in
                try .init(.created, try await orders.ask(id, body, by: caller, in: transaction))
            }
            return "/deals/\(id)"
        }
        router.action("/orders/:id/documents", sessions, roles: ["accountant", "head"]) { id, form, caller in
            let currency = try await OrderView.load(id, in: bus.pool)?.askedTotal.currency
            guard let amount = Money(form.number("amount"), currency ?? settings.company.currency) else {
                throw Problem.invalid("сумма — число")
            }
            let entry = OwnBooks.Entry(
                kind: form["kind"] ?? "", amount: amount, date: form.filled("date"), number: form.filled("number"))
            _ = try await RefusedWrites(pool: bus.pool).guarding(by: caller.name) {
                try await Idempotency(bus: bus).once(
                    form.filled("key") ?? ID.make().description, route: "/orders/\(id)/documents", caller, []
                ) { transaction, _ in
                    try .init(.created, try await books.record(id, entry, by: caller, in: transaction))
                }
            }
            return "/orders/\(id)"
        }
        router.action("/orders/:id/cancel", sessions, roles: ["manager", "head"]) { id, form, caller in
            _ = try await bus.transaction {
                try await changes.cancel(id, .init(reason: form.filled("reason")), by: caller, in: $0)
            }
            return "/orders/\(id)"
        }
        router.action("/orders/:id/documents/cancel", sessions, roles: ["accountant", "head"]) { id, form, caller in
            _ = try await RefusedWrites(pool: bus.pool).guarding(by: caller.name) {
                try await bus.transaction {
                    try await books.cancel(id, document: form["document"] ?? "", by: caller, in: $0)
                }
            }
            return "/orders/\(id)"
        }
    }

    /// Whether the base of an organization's orders answers questions.
    private func mayAsk(_ organization: String) -> Bool {
        guard let base = settings.organization(organization).flatMap({ settings.base(of: $0) }) else { return false }
        return base.inquiries != nil || base.driver == .folder
    }

    private func page(
        _ deal: DealView, _ request: Request, _ caller: Caller, _ quoted: [String: Any] = [:]
    ) async throws -> Response {
        let language = renderer.language(request)
        var fields = try await fields(deal, caller, language)
        if let journey = deal.journeyId {
            fields.merge(try await talk.fields(journey, caller, language)) { $1 }
        }
        fields.merge(quoted) { $1 }
        return try await renderer.page(
            "deal", title: "\(ScreenTexts.word("deal", language)) № \(deal.number)", fields, request, caller)
    }

    /// A form that only asks: who sent it, and what.
    private func submitted(_ request: Request, _ context: ServiceRequestContext) async throws -> (Caller, Form) {
        let caller = try context.person()
        let form = try await Form(request)
        try sessions.checkCSRF(form["csrf"], caller)
        return (caller, form)
    }

    /// An order of a deal that the person may see.
    private func seen(_ context: ServiceRequestContext) async throws -> (order: OrderView, caller: Caller) {
        let caller = try context.person()
        guard let order = try await OrderView.load(try context.id("order"), in: bus.pool), let deal = order.dealId
        else { throw Problem.notFound("order") }
        _ = try await DealView.load(deal, for: caller, in: bus.pool)
        return (order, caller)
    }

    private func body(_ form: Form) throws -> OrderRequest.Body {
        guard let quantity = Quantity(form.number("quantity")), let price = Quantity(form.number("price"))
        else { throw Problem.invalid("количество и цена — числа") }
        let line = OrderRequest.Body.Line(
            sku: form.filled("sku") ?? "", name: form["name"] ?? "", quantity: quantity, price: price, unit: nil,
            vat: nil,
            discount: nil)
        return .init(
            kind: form.filled("kind"), organization: nil, lines: [line], currency: settings.company.currency,
            contractId: nil, address: nil, comment: nil, bookingId: form.filled("booking"))
    }

    private func fields(_ deal: DealView, _ caller: Caller, _ language: Language) async throws -> [String: Any] {
        let answers = try await bus.pool.run([
            Statement("SELECT id FROM lead WHERE deal_id = $1", [.id(deal.id)]),
            Statement("SELECT name FROM company WHERE id = $1", [.id(deal.companyId)]),
        ])
        let orders = try await OrderView.load(deal: deal.id, in: bus.pool)
        return [
            "id": deal.id.description, "number": deal.number, "title": deal.title,
            "stage": StateWords.stage(deal.stage, language),
            "paid": Self.payment(deal, language),
            "amount": deal.amount.map { HumanText.money($0, language) } ?? ScreenTexts.word("noAmount", language),
            "responsible": deal.responsible ?? ScreenTexts.word("nobody", language),
            "company": try answers[1].first?.string("name") ?? "",
            "companyId": deal.companyId?.description ?? "",
            "leadId": try answers[0].first?.id("id").description ?? "", "task": deal.nextTask?.text ?? "",
            "orderKey": ID.make().description, "orders": orders.map { Self.fields($0, caller, language) },
            "orderKinds": OnecQuestions.kinds(chosen: nil, language),
            "ownBooks": settings.keepsOwnBooks, "quantity": "1", "mayAsk": mayAsk(deal.organization),
            "stages": DealActions.stages.map {
                ["key": $0, "value": StateWords.stage($0, language), "current": $0 == deal.stage]
                    as [String: Any]
            },
        ]
    }
}
