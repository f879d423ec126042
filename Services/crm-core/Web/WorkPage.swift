import Hummingbird
import Postgres
import Primitives
import ServiceKit

/// `/leads`: what I have to do, overdue first, each with its next step.
struct WorkPage: Sendable {
    let pool: PostgresPool
    let renderer: PageRenderer

    private static let leadLimit = 200
    private static let dealLimit = 100

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/leads") { request, context in
            let caller = try context.person()
            let language = renderer.language(request)
            return try await renderer.page(
                "leads", title: ScreenTexts.word("leads", language), try await fields(caller, language),
                request, caller)
        }
    }

    private func fields(_ caller: Caller, _ language: Language) async throws -> [String: Any] {
        let owner = try caller.ownerFilter()
        let answers = try await pool.run([
            Statement(
                """
                \(LeadView.select) WHERE l.status IN ('new', 'taken')
                    AND ($1::uuid IS NULL OR l.responsible_id = $1 OR l.responsible_id IS NULL)
                ORDER BY l.next_task_at NULLS LAST, l.id LIMIT \(Self.leadLimit)
                """, [.id(owner)]),
            Statement(
                """
                \(DealView.select) WHERE d.outcome <> 'lost' AND ($1::uuid IS NULL OR d.responsible_id = $1)
                ORDER BY d.updated_at DESC LIMIT \(Self.dealLimit)
                """, [.id(owner)]),
        ])
        let now = Timestamp.now()
        let leads = try answers[0].map { lead(try LeadView($0), now, caller, language) }
        let deals = try answers[1].map { row -> [String: Any] in
            let deal = try DealView(row)
            return [
                "id": deal.id.description, "number": deal.number, "title": deal.title,
                "stage": StateWords.stage(deal.stage, language),
                "paid": DealPages.payment(deal, language),
                "amount": deal.amount.map { HumanText.money($0, language) } ?? "",
            ]
        }
        let count = leads.count
        let words = language.pick(
            HumanText.plural(count, "заявка", "заявки", "заявок"), count == 1 ? "lead" : "leads")
        return [
            "leads": leads, "deals": deals, "empty": leads.isEmpty, "noDeals": deals.isEmpty,
            "count": "\(count) \(words)",
        ]
    }

    private func lead(
        _ lead: LeadView, _ now: Timestamp, _ caller: Caller, _ language: Language
    ) -> [String: Any] {
        let left = lead.nextTask?.dueAt?.seconds(since: now)
        func due() -> String {
            guard let left else { return ScreenTexts.word("noNextStep", language) }
            let span = HumanText.span(abs(left), language)
            return left < 0
                ? language.pick("просрочено на \(span)", "\(span) overdue")
                : language.pick("через \(span)", "in \(span)")
        }
        return [
            "id": lead.id.description, "number": lead.number, "name": lead.name ?? "",
            "status": StateWords.lead(lead.status, language), "channel": lead.channel,
            "responsible": caller.seesAll
                ? lead.responsible ?? ScreenTexts.word("nobody", language) : "",
            "text": lead.text ?? "", "task": lead.nextTask?.text ?? "",
            // A lead without a next step is as wrong as an overdue one.
            "late": left.map { $0 < 0 } ?? true, "due": due(),
        ]
    }
}
