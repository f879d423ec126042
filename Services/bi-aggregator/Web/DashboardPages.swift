import Contracts
import HTTPTypes
import Hummingbird
import Mustache
import Postgres
import Primitives
import ServiceKit

/// The dashboard; the workspace forwards `/dashboard` here with the user's session.
struct DashboardPages: Sendable {
    private let pool: PostgresPool
    private let live: LiveFigures
    private let fallback: Language
    private let template: MustacheTemplate

    init(pool: PostgresPool, live: LiveFigures, locale: String) throws {
        self.pool = pool
        self.live = live
        fallback = Language(rawValue: locale) ?? .ru
        template = try MustacheTemplate(
            string: String(decoding: PackageResources.dashboard_mustache, as: UTF8.self))
    }

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/dashboard") { request, context in
            try context.requireReader()
            let language = request.language(fallback)
            return Response.html(template.render(Self.words.mapValues { language.pick($0.ru, $0.en) }))
        }
        router.get("/dashboard/data") { _, context in
            try context.requireReader()
            return try Response.json(try await data())
        }
        router.get("/dashboard/live") { _, context in
            try context.requireReader()
            return try Response.live(live.listen()) { $0 }
        }
    }

    private struct Figures: Encodable {
        let funnel, money, owed, human, bot, leads: [Cell]
    }

    private func data() async throws -> Figures {
        func cells(_ metric: String, by: String) async throws -> [Cell] {
            try await pool.query(
                """
                SELECT \(Cell.columns) FROM cell
                WHERE metric = $1 AND grain = 'total' AND by_dimensions = $2 ORDER BY dimensions
                """, [.text(metric), .text(by)]
            ).map { try Cell($0) }
        }
        return Figures(
            funnel: try await cells("funnel.reached", by: "step"),
            money: try await cells("money.received", by: "channel"),
            owed: try await cells("receivables.owed", by: ""),
            human: try await cells("response.human", by: ""),
            bot: try await cells("response.bot", by: ""),
            leads: try await cells("leads.created", by: ""))
    }

    private static let words: [String: (ru: String, en: String)] = [
        "title": ("Показатели", "Dashboard"), "funnel": ("Воронка", "Funnel"),
        "money": ("Деньги по каналам", "Money by channel"), "locale": ("ru-RU", "en-GB"),
        "lead": ("Заявка", "Lead"), "taken": ("В работе", "Taken"), "deal": ("Сделка", "Deal"),
        "won": ("Выиграна", "Won"), "order": ("Заказ в 1С", "Order in 1C"), "paid": ("Оплачено", "Paid"),
        "second": ("с", "s"), "minute": ("мин", "min"), "leads": ("Заявки", "Leads"),
        "received": ("Получено денег", "Money received"), "owed": ("Должны нам", "Owed to us"),
        "botAnswer": ("Ответ бота", "Answer by the bot"),
        "noChannel": ("без канала", "no channel"),
        "humanAnswer": ("Первый ответ менеджера", "First answer by a manager"),
    ]
}
