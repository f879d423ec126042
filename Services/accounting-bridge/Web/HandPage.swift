import Hummingbird
import Mustache
import Postgres
import Primitives
import ServiceKit

/// `/journal/hand`: files that a person carries between a base and us.
struct HandPage: Sendable {
    let routes: HandRoutes
    private let template: MustacheTemplate
    private let fallback: Language

    init(_ routes: HandRoutes, locale: String) throws {
        self.routes = routes
        fallback = Language(rawValue: locale) ?? .ru
        template = try MustacheTemplate(string: String(decoding: PackageResources.hand_mustache, as: UTF8.self))
    }

    func add(to router: Router<ServiceRequestContext>) {
        let exchange = routes.exchange
        router.get("/journal/hand") { request, context in
            _ = try routes.caller(context)
            return try await page(request)
        }
        router.get("/journal/hand-file/:id") { _, context in
            _ = try routes.caller(context)
            return try await routes.content(try routes.file(context))
        }
        router.post("/journal/hand-prepare") { request, context in
            let caller = try routes.caller(context)
            return try await back {
                "?file=\(try await exchange.prepare(try await Form(request)["base"] ?? "", by: caller).id)"
            }
        }
        router.post("/journal/hand-discard") { request, context in
            let caller = try routes.caller(context)
            return try await back {
                guard let id = try await Form(request)["file"].flatMap({ ID($0) }) else {
                    throw Problem.notFound("file")
                }
                try await exchange.discard(id, by: caller)
                return ""
            }
        }
        router.post("/journal/hand-taken") { request, context in
            let caller = try routes.caller(context)
            return try await back {
                guard let id = try await Form(request)["file"].flatMap({ ID($0) }) else {
                    throw Problem.notFound("file")
                }
                _ = try await exchange.confirm(id, by: caller)
                return "?file=\(id)"
            }
        }
        router.post("/journal/hand") { request, context in
            let caller = try routes.caller(context)
            return try await back {
                let body = try await request.bytes(limit: HandExchange.fileLimit + 64 * 1024)
                let form = try Form(request, body: body)
                guard let file = form.file else { throw Problem.invalid("выберите файл") }
                let taken = try await exchange.take(form["base"] ?? "", file, by: caller)
                let words = (taken.understood + [taken.reason.map { "отложено: \($0)" }].compactMap { $0 })
                let shown = String(words.joined(separator: "; ").prefix(1000))
                let exchange = taken.exchangeId.map { "&exchange=\($0)" } ?? ""
                return "?\(taken.reason == nil ? "said" : "error")=\(Form.encoded(shown))\(exchange)"
            }
        }
    }

    /// Does it and goes back to the page, also with what was wrong.
    private func back(_ act: () async throws -> String) async throws -> Response {
        let query: String
        do { query = try await act() } catch let problem as Problem {
            query = "?error=\(Form.encoded(problem.detail ?? problem.title))"
        }
        return Response(status: .seeOther, headers: [.location: "/journal/hand\(query)"])
    }

    private func page(_ request: Request) async throws -> Response {
        let bases = routes.exchange.settings.bases
        var fields: [String: Any] = [
            "t": JournalWords.all(request.language(fallback)), "csrf": request.headers[.formToken] ?? "",
            "error": request.query("error") ?? "", "said": request.query("said") ?? "",
            "exchange": request.query("exchange").flatMap { ID($0) }?.description ?? "",
            "giving": bases.filter { $0.driver == .commerceml }.map(\.base),
            "taking": bases.filter { $0.driver != .odata }.map(\.base),
        ]
        fields["mayGive"] = bases.contains { $0.driver == .commerceml }
        fields["mayTake"] = bases.contains { $0.driver != .odata }
        if let id = request.query("file").flatMap({ ID($0) }) {
            let file = try await routes.exchange.file(id)
            fields["file"] = [
                "id": id.description, "base": file.base, "orders": file.orders.joined(separator: ", "),
                "taken": file.isTaken,
            ]
        }
        return Response.html(template.render(filled(fields)))
    }
}
