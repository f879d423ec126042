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
        return Response.html(
            template.render(
                filled([
                    "questions": questions.map { Self.fields($0, mayChoose, request.headers[.formToken] ?? "") },
                    "error": request.query("error") ?? "", "chosen": request.query("chosen") ?? "",
                    "t": JournalWords.all(language), "q": text, "isEmpty": shown.isEmpty,
                    "items": shown.map { Self.fields($0, language) },
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
            "changes": good.changes.map {
                "\(JournalWords.word("was.\($0.field)", language)) «\($0.old ?? "—")», \(LocalTime.text($0.at))"
            },
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

    /// Offers of one good that a page shows.
    private static let offersShown = 20

    private static func twoPlaces(_ amount: String) -> String { Quantity(amount)?.twoPlaces ?? amount }
}
