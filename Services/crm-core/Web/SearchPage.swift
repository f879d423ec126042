import Hummingbird
import Postgres
import Primitives
import ServiceKit

/// `/search`: by number, phone, name, INN or text.
struct SearchPage: Sendable {
    let pool: PostgresPool
    let renderer: PageRenderer

    private static let places = [
        "lead": "/leads/", "deal": "/deals/", "order": "/orders/", "company": "/companies/",
    ]

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/search") { request, context in
            let caller = try context.person()
            let language = renderer.language(request)
            let query = request.query("q") ?? ""
            let items = try await Search(pool: pool).find(query, by: caller).map { hit in
                [
                    "kind": StateWords.record(hit.kind, language), "number": hit.number ?? "",
                    "title": hit.title, "link": Self.places[hit.kind].map { $0 + hit.id.description } ?? "",
                ]
            }
            return try await renderer.page(
                "search", title: ScreenTexts.word("search", language),
                ["query": query, "hits": items, "empty": items.isEmpty], request, caller)
        }
    }
}
