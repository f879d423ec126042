import Hummingbird
import Primitives
import ServiceKit

/// `/orders`: orders that were made in 1C and are no deal's yet; `/orders/{id}`: the way to an order's deal, or such an order and whose it is.
struct BornOrderPages: Sendable {
    let born: BornOrders
    let sessions: Sessions
    let renderer: PageRenderer

    /// Orders that the page shows; the API has all.
    private static let shown = 100
    /// Deals that are proposed at most.
    private static let proposed = 20

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/orders") { request, context in
            let caller = try context.person()
            let language = renderer.language(request)
            let entries = try await born.unlinked(limit: Self.shown)
            return try await renderer.page(
                "born-orders", title: ScreenTexts.word("bornOrders", language),
                ["born": entries.map { Self.line($0, language) }, "empty": entries.isEmpty], request, caller)
        }
        router.get("/orders/:id") { request, context in
            let caller = try context.person()
            let id = try context.id("order")
            if let deal = try await OrderView.load(id, in: born.bus.pool)?.dealId {
                // Who may not see the deal is told so there.
                return Response.redirect("/deals/\(deal)")
            }
            guard let entry = try await born.entry(id) else { throw Problem.notFound("order") }
            return try await page(entry, error: request.query("error"), request, caller)
        }
        router.action("/orders/:id/link", sessions) { id, form, caller in
            do {
                let deal = try await deal(form.filled("deal") ?? "")
                _ = try await born.bus.transaction { try await born.link(id, to: deal, by: caller, in: $0) }
            } catch let problem as Problem where problem.status == .conflict || problem.status == .notFound {
                return "/orders/\(id)?error=\(Form.encoded(problem.detail ?? problem.title))"
            }
            return "/orders/\(id)"
        }
        router.action("/orders/:id/unlink", sessions) { id, _, caller in
            _ = try await born.bus.transaction { try await born.unlink(id, by: caller, in: $0) }
            return "/orders/\(id)"
        }
    }

    private func deal(_ number: String) async throws -> ID {
        let digits = number.filter { $0.isASCII && $0.isNumber }
        guard let number = Int64(digits),
            let row = try await born.bus.pool.query("SELECT id FROM deal WHERE number = $1", [.int(number)]).first
        else { throw Problem.conflict("сделки с таким номером нет") }
        return try row.id("id")
    }

    private static func line(_ entry: BornOrders.Entry, _ language: Language) -> [String: Any] {
        let order = entry.order
        return [
            "id": order.id.description, "number": order.number,
            "client": entry.client ?? ScreenTexts.word("clientUnknown", language),
            "day": HumanText.day(LocalTime.day(order.createdAt)),
            "total": HumanText.money(order.total ?? order.askedTotal, language),
            "payment": StateWords.payment(order.payment, language),
            "owed": order.owed.flatMap { $0.minor > 0 ? HumanText.money($0, language) : nil } ?? "",
        ]
    }

    private func page(
        _ entry: BornOrders.Entry, error: String?, _ request: Request, _ caller: Caller
    ) async throws -> Response {
        let language = renderer.language(request)
        let order = entry.order
        let mine = try caller.ownerFilter()
        let deals = try await born.bus.pool.query(
            """
            SELECT number, title FROM deal WHERE (company_id = $1 OR contact_id = $1) AND organization = $2 AND outcome = 'open'
                AND ($3::uuid IS NULL OR responsible_id = $3) ORDER BY id DESC LIMIT \(Self.proposed)
            """, [.id(entry.clientId), .text(order.organization), .id(mine)])
        let isCompany = try await !born.bus.pool.query(
            "SELECT 1 AS one FROM company WHERE id = $1", [.id(entry.clientId)]
        ).isEmpty
        return try await renderer.page(
            "born-order", title: "\(ScreenTexts.word("order", language)) \(order.number)",
            [
                "id": order.id.description, "number": order.number, "client": entry.client ?? "",
                "company": isCompany ? entry.clientId?.description ?? "" : "", "error": error ?? "",
                "orders": [DealPages.fields(order, caller, language)], "anyLines": !order.lines.isEmpty,
                "lines": order.lines.map {
                    [
                        "lineName": $0.name, "quantity": $0.quantity.description,
                        "price": Money($0.price.description, $0.sum.currency).map { HumanText.money($0, language) }
                            ?? $0.price.description,
                        "lineSum": HumanText.money($0.sum, language),
                    ]
                },
                "mayLink": DealPages.sells(caller), "anyDeals": !deals.isEmpty,
                "deals": try deals.map { ["dealNumber": try $0.int("number"), "dealTitle": try $0.string("title")] },
            ], request, caller)
    }
}
