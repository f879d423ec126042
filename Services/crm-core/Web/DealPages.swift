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
    let renderer: PageRenderer
    let talk: TalkPages

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/deals/:id") { request, context in
            let caller = try context.person()
            let deal = try await DealView.load(try context.id("deal"), for: caller, in: bus.pool)
            let language = renderer.language(request)
            var fields = try await fields(deal, caller, language)
            if let journey = deal.journeyId {
                fields.merge(try await talk.fields(journey, caller, language)) { $1 }
            }
            return try await renderer.page(
                "deal", title: "\(ScreenTexts.word("deal", language)) № \(deal.number)", fields, request, caller)
        }
        router.get("/orders/:id") { _, context in
            let caller = try context.person()
            guard let deal = try await OrderView.load(try context.id("order"), in: bus.pool)?.dealId else {
                throw Problem.notFound("order")
            }
            _ = try await DealView.load(deal, for: caller, in: bus.pool)
            return Response.redirect("/deals/\(deal)")
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

    private func body(_ form: Form) throws -> OrderRequest.Body {
        guard let quantity = Quantity(form.number("quantity")), let price = Quantity(form.number("price"))
        else { throw Problem.invalid("количество и цена — числа") }
        let line = OrderRequest.Body.Line(
            sku: "", name: form["name"] ?? "", quantity: quantity, price: price, unit: nil, vat: nil,
            discount: nil)
        return .init(
            kind: form.filled("kind"), organization: nil, lines: [line], currency: settings.company.currency,
            contractId: nil, address: nil, comment: nil)
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
            "amount": deal.amount.map { HumanText.money($0, language) } ?? ScreenTexts.word("noAmount", language),
            "responsible": deal.responsible ?? ScreenTexts.word("nobody", language),
            "company": try answers[1].first?.string("name") ?? "",
            "companyId": deal.companyId?.description ?? "",
            "leadId": try answers[0].first?.id("id").description ?? "", "task": deal.nextTask?.text ?? "",
            "orderKey": ID.make().description, "orders": orders.map { Self.fields($0, caller, language) },
            "orderKinds": StateWords.orderKinds.map { ["key": $0, "value": StateWords.orderKind($0, language)] },
            "ownBooks": settings.keepsOwnBooks,
            "stages": DealActions.stages.map {
                ["key": $0, "value": StateWords.stage($0, language), "current": $0 == deal.stage]
                    as [String: Any]
            },
        ]
    }

    private static func fields(_ order: OrderView, _ caller: Caller, _ language: Language) -> [String: Any] {
        let keepsBooks = caller.isAdmin || !caller.roles.isDisjoint(with: ["accountant", "head"])
        let writes = order.base == OwnBooks.name && keepsBooks
        func sum(_ money: Money?, _ state: String) -> String {
            money.map { HumanText.money($0, language) } ?? StateWords.payment(state, language)
        }
        return [
            "id": order.id.description, "number": order.number, "onec": order.onecNumber ?? "",
            "byHand": writes, "entryKey": ID.make().description,
            "kinds": OwnBooks.kinds.map { ["key": $0, "value": StateWords.document($0, language)] },
            "status": StateWords.order(order.status, language, isOurs: order.base == OwnBooks.name),
            "failure": order.failure ?? "",
            "total": HumanText.money(order.total ?? order.askedTotal, language),
            "paid": sum(order.paid, order.payment), "shipped": sum(order.shipped, order.shipment),
            "payment": StateWords.payment(order.payment, language),
            "overdue": order.overdue ? order.dueDate.map { HumanText.day($0) } ?? "" : "",
            "owed": order.owed.flatMap { $0.minor > 0 ? HumanText.money($0, language) : nil } ?? "",
            "revenue": order.revenue.map { HumanText.money($0, language) } ?? "",
            "cost": order.cost.map { HumanText.money($0, language) } ?? "",
            "margin": order.margin.map { HumanText.money($0, language) } ?? "",
            "share": order.marginShare.map { "\(Int($0.rounded())) %" } ?? "",
            "unknown": order.paidUnknown == nil || order.payment == "full"
                ? "" : ScreenTexts.word("paymentsUnknown", language),
            "mayCancel": ["requested", "sent", "accepted", "failed"].contains(order.status)
                && !order.changes.contains { $0.state == "asked" }
                && (caller.isAdmin || !caller.roles.isDisjoint(with: ["manager", "head"])),
            "changes": order.changes.map {
                [
                    "words": ScreenTexts.word("change.\($0.kind).\($0.state)", language),
                    "changeReason": $0.reason ?? "", "changeBy": $0.by, "changeAt": LocalTime.text($0.at),
                ]
            },
            "flags": order.flags.map {
                [
                    "sign": $0.done ? "✓" : "…", "department": $0.department,
                    "words": [$0.by, $0.at.map { LocalTime.text($0) }].compactMap { $0 }.joined(separator: ", "),
                ]
            },
            "documents": order.documents.map {
                [
                    "kind": StateWords.document($0.kind, language), "documentNumber": $0.number ?? "",
                    "date": $0.date.map { HumanText.day($0) } ?? "",
                    "documentAmount": $0.amount.map { HumanText.money($0, language) } ?? "",
                    "exchange": $0.exchangeId?.description ?? "", "onecLink": $0.link ?? "",
                    "off": $0.cancelled && $0.base == OwnBooks.name
                        ? ScreenTexts.word("takenBack", language)
                        : $0.cancelled || !$0.posted
                            ? ScreenTexts.word("notPosted", language)
                            : $0.counts ? "" : "\(ScreenTexts.word("otherBooks", language)) (1С \($0.base))",
                    "document": writes && !$0.cancelled ? $0.onecId : "",
                ]
            },
        ]
    }
}
