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

    private func fields(_ company: CompanyView, _ language: Language) async throws -> [String: Any] {
        let answers = try await pool.run([
            Statement("\(ContactView.select) WHERE company_id = $1 ORDER BY name LIMIT 200", [.id(company.id)]),
            Statement(
                "\(DealView.select) WHERE d.company_id = $1 ORDER BY d.id DESC LIMIT 100", [.id(company.id)]),
        ])
        let orders = try await OrderView.load(company: company.id, in: pool)
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
            ],
            "unknown": live.contains { $0.paidUnknown != nil }
                ? ScreenTexts.word("paymentsUnknown", language) : "",
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
                    "dealId": $0.dealId?.description ?? "",
                ]
            },
        ]
    }
}
