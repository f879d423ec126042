import Curl
import HTTPTypes
import Hummingbird
import NIOCore
import ServiceKit

/// `/journal/…` and `/dashboard/…` belong to other services; people see them in the workspace's frame. The one exception
/// to "no service calls another's HTTP": it is for people's eyes.
struct ForwardedPages: Sendable {
    let bridge, bi: String
    let renderer: PageRenderer
    let sessions: Sessions
    let http = HTTPClient()

    /// Bytes of a form at most: it may carry a bank's statement.
    private static let formLimit = 17 * 1024 * 1024

    func add(to router: Router<ServiceRequestContext>) {
        for path in ["/journal", "/journal/:page", "/journal/:page/:id"] as [RouterPath] {
            router.get(path) { request, context in
                try await forward(request, context, to: bridge, title: "journal")
            }
        }
        for path in ["/journal/:page", "/journal/:page/:id"] as [RouterPath] {
            router.post(path) { request, context in try await submit(request, context, to: bridge) }
        }
        router.get("/dashboard") { request, context in
            try await forward(request, context, to: bi, title: "dashboard")
        }
        router.get("/dashboard/data") { request, context in
            try await forward(request, context, to: bi, title: nil)
        }
        router.get("/dashboard/live") { request, context in
            let token = try OtherServices.session(request, context)
            let (stream, continuation) = AsyncStream<[UInt8]>.makeStream(bufferingPolicy: .bufferingNewest(64))
            let transfer = Task {
                try? await http.stream(
                    .init(
                        "GET", bi + "/dashboard/live", headers: [("Authorization", "Bearer \(token)")],
                        timeoutSeconds: 3600), onHead: { _ in },
                    onBytes: { bytes in
                        continuation.yield(bytes)
                        return true
                    })
                continuation.finish()
            }
            continuation.onTermination = { _ in transfer.cancel() }
            let body = ResponseBody { writer in
                for await bytes in stream { try await writer.write(ByteBuffer(bytes: bytes)) }
                try await writer.finish(nil)
            }
            return Response(
                status: .ok,
                headers: [.contentType: "text/event-stream", .cacheControl: "no-store"], body: body)
        }
    }

    /// A form of another service's page: the token in it is checked here, where the session lives.
    private func submit(_ request: Request, _ context: ServiceRequestContext, to owner: String) async throws -> Response
    {
        let token = try OtherServices.session(request, context)
        let body = try await request.bytes(limit: Self.formLimit)
        try sessions.checkCSRF(try Form(request, body: body)["csrf"], try context.person())
        let answer: HTTPClient.Response
        do {
            answer = try await http.send(
                .init(
                    "POST", owner + request.uri.description,
                    headers: [
                        ("Authorization", "Bearer \(token)"), ("Content-Type", request.headers[.contentType] ?? ""),
                        ("Accept-Language", renderer.language(request).rawValue),
                    ], body: body, timeoutSeconds: 120))
        } catch {
            return try await away(request, context, title: "")
        }
        if let place = answer.header("location") { return Response.redirect(place) }
        return Response.text(
            String(decoding: answer.body, as: UTF8.self), type: answer.header("content-type") ?? "application/json",
            .init(code: answer.status))
    }

    /// The section's owner does not answer.
    private func away(_ request: Request, _ context: ServiceRequestContext, title: String) async throws -> Response {
        let words = ScreenTexts.word("sectionAway", renderer.language(request))
        return try await renderer.frame(
            "<div class=\"alert alert-warning\">\(words)</div>", title: title, request, context.caller,
            status: .badGateway)
    }

    private func forward(
        _ request: Request, _ context: ServiceRequestContext, to owner: String, title: String?
    ) async throws -> Response {
        let token = try OtherServices.session(request, context)
        let language = renderer.language(request)
        let title = title.map { ScreenTexts.word($0, language) }
        let answer: HTTPClient.Response
        do {
            answer = try await http.send(
                .init(
                    "GET", owner + request.uri.description,
                    headers: [
                        ("Authorization", "Bearer \(token)"), ("Accept-Language", language.rawValue),
                        (HTTPField.Name.formToken.rawName, context.caller?.sessionID.map { sessions.csrf($0) } ?? ""),
                    ],
                    timeoutSeconds: 10))
        } catch {
            return try await away(request, context, title: title ?? "")
        }
        if let name = answer.header("content-disposition") {
            return Response(
                status: .init(code: answer.status),
                headers: [
                    .contentType: answer.header("content-type") ?? "application/octet-stream",
                    .contentDisposition: name,
                    .xContentTypeOptions: "nosniff",
                ], body: .init(byteBuffer: ByteBuffer(bytes: answer.body)))
        }
        let text = String(decoding: answer.body, as: UTF8.self)
        guard let title, answer.status == 200 else {
            return Response.text(
                text, type: answer.header("content-type") ?? "application/json", .init(code: answer.status))
        }
        return try await renderer.frame(text, title: title, request, context.caller)
    }
}
