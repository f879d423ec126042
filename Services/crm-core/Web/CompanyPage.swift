import Postgres
import Primitives
import ServiceKit

/// A company with its people, deals, orders and the three sums: ordered, shipped, paid, each currency apart.
struct CompanyPage: Sendable {
    let pool: PostgresPool

    func fields(_ id: ID) async throws -> [String: Any] {
        let company = try await Directory(pool: pool).company(id)
        let answers = try await pool.run([
            Statement("\(ContactView.select) WHERE company_id = $1 ORDER BY name", [.id(id)]),
            Statement("\(DealView.select) WHERE d.company_id = $1 ORDER BY d.id DESC LIMIT 100", [.id(id)]),
            Statement(
                """
                SELECT o.id FROM sales_order o JOIN deal d ON d.id = o.deal_id WHERE d.company_id = $1
                ORDER BY o.created_at DESC LIMIT 200
                """, [.id(id)]),
        ])
        var orders: [OrderView] = []
        for row in answers[2] {
            if let order = try await OrderView.load(try row.id("id"), in: pool) { orders.append(order) }
        }
        func sum(_ amount: (OrderView) -> Money?) -> String {
            var totals: [Currency: Money] = [:]
            for money in orders.compactMap(amount) {
                totals[money.currency] = (totals[money.currency] ?? .zero(money.currency)) + money
            }
            return totals.isEmpty
                ? "—" : totals.values.map { RussianText.money($0) }.sorted().joined(separator: " + ")
        }
        return [
            "name": company.name, "inn": company.inn ?? "", "kpp": company.kpp ?? "",
            "sums": [
                ["key": "заказано", "value": sum { $0.total ?? $0.askedTotal }],
                ["key": "отгружено", "value": sum(\.shipped)], ["key": "оплачено", "value": sum(\.paid)],
            ],
            "unknown": orders.contains { $0.paidUnknown != nil }
                ? "Часть оплат неизвестна: \(OrderState.cannotTell)" : "",
            "people": try answers[0].map { row in
                let contact = try ContactView(row)
                return ["name": contact.name ?? "", "role": contact.role ?? "", "phone": contact.phone ?? ""]
            },
            "deals": try answers[1].map { row in
                let deal = try DealView(row)
                return [
                    "id": deal.id.description, "number": String(deal.number), "title": deal.title,
                    "stage": RussianText.stage(deal.stage),
                ]
            },
            "orders": orders.map {
                [
                    "number": $0.number, "status": RussianText.orderStatus($0.status),
                    "total": RussianText.money($0.total ?? $0.askedTotal),
                ]
            },
        ]
    }
}
