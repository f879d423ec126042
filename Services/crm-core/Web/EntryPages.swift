import HTTPTypes
import Hummingbird
import Messaging
import Primitives
import ServiceKit

/// Logging in and out, and the "at work" switch.
struct EntryPages: Sendable {
    let bus: EventBus
    let sessions: Sessions
    let settings: SuiteSettings
    let renderer: PageRenderer

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/") { _, context in
            _ = try context.person()
            return Response.redirect("/leads")
        }
        router.get("/login") { request, _ in try await form(request, nil, .ok) }
        router.post("/login") { request, context in
            let form = try await Form(request)
            do {
                let opened = try await sessions.open(
                    .init(login: form["login"] ?? "", password: form["password"] ?? ""),
                    address: context.clientAddress(request))
                var response = Response.redirect("/leads")
                response.headers[.setCookie] = sessions.cookieHeader(opened)
                return response
            } catch let problem as Problem {
                let wrong = problem.status == .unauthorized
                return try await self.form(request, wrong ? "wrongLogin" : "tooManyLogins", problem.status)
            }
        }
        router.post("/logout") { request, context in
            let caller = try context.person()
            try sessions.checkCSRF(try await Form(request)["csrf"], caller)
            if let session = caller.sessionID { try await sessions.close(session) }
            return Response(
                status: .seeOther, headers: [.location: "/login", .setCookie: Sessions.clearedCookie])
        }
        router.post("/at-work") { request, context in
            let caller = try context.person()
            try sessions.checkCSRF(try await Form(request)["csrf"], caller)
            try await bus.transaction { transaction in
                let rows = try await transaction.query(
                    "UPDATE staff SET at_work = NOT at_work, version = version + 1 WHERE id = $1 RETURNING at_work",
                    [.id(caller.userID)])
                if try rows.first?.bool("at_work") == true { try await LeadDistribution.run(in: transaction) }
            }
            return Response.redirect("/leads")
        }
    }

    private func form(_ request: Request, _ error: String?, _ status: HTTPResponse.Status) async throws -> Response {
        let language = renderer.language(request)
        return try await renderer.page(
            "login", title: ScreenTexts.word("enter", language),
            [
                "company": settings.company.name,
                "error": error.map { ScreenTexts.word($0, language) } ?? "",
            ], request, nil, status: status)
    }
}
