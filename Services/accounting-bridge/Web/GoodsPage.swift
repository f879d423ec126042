import Hummingbird
import Mustache
import Postgres
import Primitives
import ServiceKit

/// `/journal/goods`: what 1C sells, as it told last.
struct GoodsPage: Sendable {
    let pool: PostgresPool
    private let template: MustacheTemplate
    private let fallback: Language

    private static let pageLimit = 100

    init(_ pool: PostgresPool, locale: String) throws {
        self.pool = pool
        fallback = Language(rawValue: locale) ?? .ru
        template = try MustacheTemplate(string: String(decoding: PackageResources.goods_mustache, as: UTF8.self))
    }

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/journal/goods") { request, context in
            let caller = try context.require("head", "manager", "accountant", "integrator")
            return try await page(request, caller, request.language(fallback))
        }
    }

    private func page(_ request: Request, _ caller: Caller, _ language: Language) async throws -> Response {
        let mayChoose = caller.isAdmin || !caller.roles.isDisjoint(with: ["accountant", "head", "integrator"])
        let questions = try await GoodLinks(pool: pool).questions(limit: Self.pageLimit)
        let text = request.query("q") ?? ""
        let items = try await GoodsAPI(pool: pool).list(
            base: nil, text: text, after: request.query("after"), limit: Self.pageLimit + 1)
        let shown = items.prefix(Self.pageLimit)
        let isOverview = text.isEmpty && request.query("after") == nil
        let changes = isOverview ? try await GoodChanges(pool: pool).newest(limit: Self.changesShown) : []
        return Response.html(
            template.render(
                filled([
                    "questions": questions.map { Self.fields($0, mayChoose, request.headers[.formToken] ?? "") },
                    "error": request.query("error") ?? "", "chosen": request.query("chosen") ?? "",
                    "t": JournalWords.all(language), "q": text, "isEmpty": shown.isEmpty,
                    "items": shown.map { Self.fields($0, language) }, "hasChanges": !changes.isEmpty,
                    "changed": changes.map {
                        ["base": $0.base, "name": $0.name, "words": Self.words($0, language)]
                    },
                    "next": items.count > Self.pageLimit ? shown.last.map { "\($0.base) \($0.id)" } ?? "" : "",
                ])))
    }

    private static func fields(_ question: GoodLinks.Question, _ mayChoose: Bool, _ token: String) -> [String: Any] {
        [
            "base": question.base, "sku": question.sku, "name": question.name, "reason": question.reason,
            "csrf": token, "mayChoose": mayChoose && !question.candidates.isEmpty,
            "candidates": question.candidates.map { ["id": $0.id, "good": $0.name, "article": $0.sku ?? ""] },
            "orders": question.orders.suffix(Self.ordersShown).map { ["number": $0] },
        ]
    }

    /// Orders of one question that a page shows.
    private static let ordersShown = 10

    private static func fields(_ good: GoodsAPI.Good, _ language: Language) -> [String: Any] {
        func quantity(_ text: String) -> String { language == .ru ? text.replacing(".", with: ",") : text }
        return [
            "name": good.name, "sku": good.sku ?? "", "base": good.base, "asOf": LocalTime.text(good.asOf),
            "deleted": good.deleted, "groups": good.groups,
            "changes": good.changes.map { words($0, language) },
            "offers": good.offers.prefix(offersShown).map { offer -> [String: Any] in
                [
                    "variant": offer.characteristics.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
                        .joined(separator: ", "),
                    "prices": offer.prices.map {
                        "\($0.type) \(HumanText.money(Self.twoPlaces($0.amount), $0.currency ?? "", language))"
                    }.joined(separator: ", "),
                    "stock": offer.stock.map {
                        ($0.warehouse.map { "\($0) " } ?? "") + quantity($0.quantity)
                    }.joined(separator: ", "),
                ]
            },
        ]
    }

    /// The newest changes of any goods that the page shows.
    private static let changesShown = 10

    private static func words(_ change: GoodChanges.Change, _ language: Language) -> String {
        func word(_ name: String) -> String { JournalWords.word(name, language) }
        let what =
            change.field == "deleted"
            ? word("isDeleted.\(change.new == "true")") : "\(word("was.\(change.field)")) «\(change.old ?? "—")»"
        var who = ""
        if let name = change.by {
            let time = change.byAt.map { ", \(HumanText.moment($0)) \(word("byOnecClock"))" } ?? ""
            who = "; \(word("lastWrittenBy")): \(name)\(time)"
        } else if let why = change.byUnknown {
            who = "; \(word("whoIsUnknown")): \(why)"
        }
        return "\(what), \(LocalTime.text(change.at))\(who)"
    }

    /// Offers of one good that a page shows.
    private static let offersShown = 20

    private static func twoPlaces(_ amount: String) -> String { Quantity(amount)?.twoPlaces ?? amount }
}
