import Contracts
import Primitives

/// A manager who takes leads, answers, makes deals and asks 1C for orders.
struct StaffMember: Sendable {
    let login: String
    let company: DemoCompany
    let suite: SuiteAPI

    func run() async {
        var token: String?
        while !Task.isCancelled {
            do {
                if token == nil {
                    token = try await suite.call(
                        .crmCore, "POST", "/api/v1/sessions", token: nil,
                        .object(["login": .string(login), "password": .string(DemoCompany.password)])
                    ).text("token")
                }
                if let token { try await work(token) }
            } catch let refused as SuiteAPI.Refused where refused.status == 401 {
                token = nil
            } catch {}
            try? await Task.sleep(for: .milliseconds(.random(in: 2000...5000)))
        }
    }

    private func work(_ token: String) async throws {
        let leads = try await suite.call(.crmCore, "GET", "/api/v1/leads?limit=50", token: token).items
        if let lead = leads.last(where: {
            $0.text("status") == "new" && $0["answers"]?["need"] != nil
                || $0.text("channel") == "site" && $0.text("status") == "new"
        }),
            let id = lead.text("id")
        {
            _ = try await suite.call(.crmCore, "POST", "/api/v1/leads/\(id)/take", token: token, .object([:]))
            if let talk = lead.text("conversationId") {
                _ = try await suite.call(
                    .botGateway, "POST", "/api/v1/conversations/\(talk)/messages", token: token,
                    .object([
                        "text": .string(
                            "Здравствуйте, это \(company.name(of: login)). Есть хороший вариант, выставляю счёт?")
                    ]))
            }
            return
        }
        guard let lead = leads.last(where: { $0.text("status") == "taken" }), let id = lead.text("id") else { return }
        if Int.random(in: 0..<6) == 0 {
            _ = try await suite.call(
                .crmCore, "POST", "/api/v1/leads/\(id)/reject", token: token,
                .object(["reason": .string("Не наш профиль")]))
            return
        }
        try await sell(lead, id, token)
    }

    private func sell(_ lead: RawJSON, _ id: String, _ token: String) async throws {
        let price = Int.random(in: 12...480) * 500
        let isService = Int.random(in: 0..<3) == 0
        let deal = try await suite.call(
            .crmCore, "POST", "/api/v1/leads/\(id)/convert", token: token,
            .object([
                "title": .string(lead.text("text") ?? "Заявка"),
                "organization": .string(isService ? "ip" : "ooo"),
                "amount": .object(["amount": .string("\(price).00"), "currency": .string("RUB")]),
            ]))
        guard let dealID = deal.text("id") else { return }
        _ = try await suite.call(
            .crmCore, "POST", "/api/v1/deals/\(dealID)/orders", token: token,
            .object([
                "currency": .string("RUB"),
                "lines": .array([
                    .object([
                        "sku": .string("ST-\(price)"), "name": .string(lead.text("text") ?? "Товар"),
                        "quantity": .string("1"), "price": .string("\(price).00"),
                    ])
                ]),
            ]), key: dealID)
        _ = try await suite.call(
            .crmCore, "POST", "/api/v1/deals/\(dealID)/stage", token: token,
            .object(["stage": .string("won")]))
    }
}
