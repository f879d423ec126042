import Hummingbird
import Messaging
import Postgres
import Primitives
import ServiceKit

/// A lead with its chat and line, and what a person does with it.
struct LeadPages: Sendable {
    let bus: EventBus
    let sessions: Sessions
    let settings: SuiteSettings
    let leads: LeadActions
    let renderer: PageRenderer
    let talk: TalkPages

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/leads/:id") { request, context in
            let caller = try context.person()
            let lead = try await LeadView.load(try context.id("lead"), for: caller, in: bus.pool)
            let language = renderer.language(request)
            var fields = fields(lead, language).merging(
                try await talk.fields(lead.journeyId, caller, language)
            ) { $1 }
            fields["candidates"] = try await candidates(lead.contactId)
            return try await renderer.page(
                "lead", title: "\(ScreenTexts.word("lead", language)) № \(lead.number)", fields, request, caller)
        }
        router.action("/leads/:id/take", sessions) { id, _, caller in
            try await bus.transaction { try await leads.take(id, by: caller, in: $0) }
            return "/leads/\(id)"
        }
        router.action("/leads/:id/reject", sessions) { id, form, caller in
            try await bus.transaction {
                try await leads.reject(id, reason: form["reason"] ?? "", by: caller, in: $0)
            }
            return "/leads"
        }
        router.action("/leads/:id/convert", sessions) { id, form, caller in
            let wish = LeadActions.Conversion(
                title: form.filled("title"), amount: try form.money("amount", settings.company.currency),
                pipeline: nil, companyId: nil, organization: nil)
            let deal = try await bus.transaction {
                try await leads.convert(id, wish, by: caller, in: $0)
            }
            return "/deals/\(deal)"
        }
    }

    /// People who may be this one: a typed number only proposes, a person decides.
    private func candidates(_ contact: ID) async throws -> [[String: Any]] {
        try await bus.pool.query(
            """
            SELECT c.number, coalesce(c.name, c.phone, '') AS name, l.reason FROM link_candidate l
            JOIN contact c ON c.id = l.other_id
            WHERE l.contact_id = $1 AND l.state = 'open' ORDER BY c.number LIMIT 5
            """, [.id(contact)]
        ).map {
            [
                "number": try $0.int("number"), "name": try $0.string("name"), "reason": try $0.string("reason"),
            ]
        }
    }

    private func fields(_ lead: LeadView, _ language: Language) -> [String: Any] {
        let shown: Set = ["name", "phone"]
        let names = ["need": language.pick("Что нужно", "Need"), "email": "E-mail"]
        return [
            "id": lead.id.description, "number": lead.number,
            "name": lead.name ?? ScreenTexts.word("noName", language),
            "phone": lead.phone.flatMap { Phone($0)?.spoken } ?? "—", "confirmed": lead.phoneConfirmed,
            "channel": lead.channel, "campaign": lead.attribution.first?.campaignName ?? "",
            "responsible": lead.responsible ?? ScreenTexts.word("nobody", language),
            "status": StateWords.lead(lead.status, language), "isNew": lead.status == "new",
            "isOpen": ["new", "taken"].contains(lead.status), "dealId": lead.dealId?.description ?? "",
            "currency": settings.company.currency.code, "task": lead.nextTask?.text ?? "",
            "shopOrder": lead.externalOrderNumber ?? "",
            "answers": lead.answers.filter { !shown.contains($0.key) }.sorted { $0.key < $1.key }.map {
                ["key": names[$0.key] ?? $0.key, "value": $0.value]
            },
        ]
    }
}
