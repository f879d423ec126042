import Contracts
import Hummingbird
import Postgres
import Primitives
import ServiceKit

/// A company with its people, deals, orders and the three sums: ordered, shipped, paid, each currency apart.
struct CompanyPage: Sendable {
    let pool: PostgresPool
    let renderer: PageRenderer

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/companies/:id") { request, context in
            let caller = try context.person()
            let language = renderer.language(request)
            let company = try await Directory(runner: pool).company(try context.id("company"))
            return try await renderer.page(
                "company", title: company.name, try await fields(company, language), request, caller)
        }
    }

    /// Lines of an act that the page shows; the API has all.
    private static let linesShown = 200

    private static func fields(_ act: Settlements.Act, _ language: Language) -> [String: Any] {
        func money(_ money: Money?) -> String { money.map { HumanText.money($0, language) } ?? "" }
        return [
            "opening": money(act.opening), "debit": money(act.debit), "credit": money(act.credit),
            "closing": money(act.closing),
            "rows": act.lines.suffix(linesShown).map { line in
                [
                    "date": line.date.map { HumanText.day($0) } ?? "—",
                    "what": "\(ScreenTexts.word("document.\(line.kind)", language)) \(line.number ?? "")",
                    "order": line.orderNumber, "plus": money(line.debit), "minus": money(line.credit),
                    "balance": money(line.balance),
                ]
            },
        ]
    }

    private func fields(_ company: CompanyView, _ language: Language) async throws -> [String: Any] {
        let answers = try await pool.run([
            Statement("\(ContactView.select) WHERE company_id = $1 ORDER BY name LIMIT 200", [.id(company.id)]),
            Statement(
                "\(DealView.select) WHERE d.company_id = $1 ORDER BY d.id DESC LIMIT 100", [.id(company.id)]),
            Statement(
                "SELECT field, old_value, new_value, source, by_whom, at FROM client_change WHERE client_id = $1 ORDER BY id DESC LIMIT 50",
                [.id(company.id)]),
            Statement(
                """
                SELECT c.base, c.name, c.history::text AS history FROM external_id x JOIN onec_card c ON x.system = '1c/' || c.base AND c.onec_id = x.external_id
                WHERE x.client_id = $1 AND x.kind = 'counterparty' ORDER BY c.base
                """, [.id(company.id)]),
        ])
        let orders = try await OrderView.load(company: company.id, in: pool)
        // More documents than an act can be made of are said in words; the rest of the page stands.
        var settlements: Settlements.Answer?
        var notes: [String] = []
        do {
            settlements = try await Settlements(pool: pool).answer(company.id, from: nil, to: nil, orders: orders)
        } catch let problem
            as Problem
        {
            notes.append(problem.detail ?? problem.title)
        }
        if orders.count == OrderView.companyLimit { notes.append(ScreenTexts.word("newestOrdersOnly", language)) }
        let live = orders.filter { !["cancelled", "failed"].contains($0.status) }
        func sum(_ amount: (OrderView) -> Money?) -> String {
            var totals: [Currency: Money] = [:]
            for money in live.compactMap(amount) {
                totals[money.currency] = (totals[money.currency] ?? .zero(money.currency)) + money
            }
            return totals.isEmpty
                ? "—" : totals.values.map { HumanText.money($0, language) }.sorted().joined(separator: " + ")
        }
        return [
            "name": company.name, "inn": company.inn ?? "", "kpp": company.kpp ?? "",
            "sums": [
                ["key": ScreenTexts.word("ordered", language), "value": sum { $0.total ?? $0.askedTotal }],
                ["key": ScreenTexts.word("shipped", language), "value": sum(\.shipped)],
                ["key": ScreenTexts.word("paid", language), "value": sum(\.paid)],
                ["key": ScreenTexts.word("owed", language), "value": sum(\.owed)],
            ],
            "notes": notes.map { ["words": $0] },
            "anyDifference": settlements?.differences.isEmpty == false,
            "differences": (settlements?.differences ?? []).map {
                "\(ScreenTexts.word("differ.\($0.kind)", language)) \(HumanText.money($0.amount, language)), \(ScreenTexts.word("order", language).lowercased()) № \($0.orderNumber)"
            },
            "acts": (settlements?.acts ?? []).map { Self.fields($0, language) },
            "unknown": live.contains { $0.paidUnknown != nil }
                ? ScreenTexts.word("paymentsUnknown", language) : "",
            "history": try answers[2].map { row in
                [
                    "field": ScreenTexts.word("field.\(try row.string("field"))", language),
                    "old": try row.optionalString("old_value") ?? "—",
                    "new": try row.optionalString("new_value") ?? "—",
                    "by": try row.optionalString("by_whom") ?? row.string("source"),
                    "at": LocalTime.text(try row.time("at")),
                ]
            },
            "hasHistory": !answers[2].isEmpty, "hasOnec": !answers[3].isEmpty,
            "onec": try answers[3].map { ["base": try $0.string("base"), "cardName": try $0.string("name")] },
            "onecHistory": try answers[3].flatMap { row in
                let base = try row.string("base")
                return try JSON.decode([FormerValue].self, from: try row.string("history").utf8).map {
                    [
                        "field": ScreenTexts.word("field.\($0.field)", language), "value": $0.value, "base": base,
                        "since": $0.since.map { HumanText.day($0) } ?? "—",
                    ]
                }
            },
            "people": try answers[0].map { row in
                let contact = try ContactView(row)
                return [
                    "name": contact.name ?? "", "role": contact.role ?? "",
                    "phone": contact.phone.flatMap { Phone($0)?.spoken } ?? "",
                ]
            },
            "deals": try answers[1].map { row in
                let deal = try DealView(row)
                return [
                    "id": deal.id.description, "number": String(deal.number), "title": deal.title,
                    "stage": StateWords.stage(deal.stage, language),
                ]
            },
            "orders": orders.map {
                [
                    "number": $0.number,
                    "status": StateWords.order($0.status, language, isOurs: $0.base == OwnBooks.name),
                    "total": HumanText.money($0.total ?? $0.askedTotal, language),
                    "payment": StateWords.payment($0.payment, language),
                    "id": $0.id.description,
                ]
            },
        ]
    }
}
