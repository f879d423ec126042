import HTTPTypes
import Hummingbird
import Primitives
import ServiceKit

/// Files that a person carries, over HTTP.
struct HandRoutes: Sendable {
    let exchange: HandExchange

    /// Who may carry files.
    func caller(_ context: ServiceRequestContext) throws -> Caller {
        try context.require("accountant", "head", "integrator")
    }

    func file(_ context: ServiceRequestContext) throws -> ID {
        guard let id = ID(try context.text("id")) else { throw Problem.notFound("file") }
        return id
    }

    func add(to router: Router<ServiceRequestContext>) {
        router.post("/api/v1/bases/:base/orders-files") { _, context in
            let caller = try caller(context)
            return try Response.json(
                try await exchange.prepare(try context.text("base"), by: caller), .created)
        }
        router.get("/api/v1/orders-files/:id") { _, context in
            _ = try caller(context)
            return try Response.json(try await exchange.file(try file(context)))
        }
        router.get("/api/v1/orders-files/:id/content") { _, context in
            _ = try caller(context)
            return try await content(try file(context))
        }
        router.post("/api/v1/orders-files/:id/taken") { _, context in
            let caller = try caller(context)
            let id = try file(context)
            _ = try await exchange.confirm(id, by: caller)
            return try Response.json(try await exchange.file(id))
        }
        router.delete("/api/v1/orders-files/:id") { _, context in
            let caller = try caller(context)
            try await exchange.discard(try file(context), by: caller)
            return Response(status: .noContent)
        }
        router.post("/api/v1/bases/:base/files") { request, context in
            let caller = try caller(context)
            let body = try await request.bytes(limit: HandExchange.fileLimit + 64 * 1024)
            return try Response.json(
                try await exchange.take(
                    try context.text("base"), try Form.file(request, body: body), by: caller), .created)
        }
    }

    func content(_ id: ID) async throws -> Response {
        let name = HandExchange.fileName(try await exchange.file(id))
        var response = Response.text(try await exchange.content(of: id), type: "application/xml; charset=utf-8", .ok)
        response.headers[.contentDisposition] = "attachment; filename=\"\(name)\""
        return response
    }
}
