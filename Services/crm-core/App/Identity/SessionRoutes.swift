import HTTPTypes
import Hummingbird
import Messaging
import Postgres
import Primitives
import ServiceKit

/// `/api/v1/sessions` and `/api/v1/users`.
struct SessionRoutes: Sendable {
    let bus: EventBus
    let sessions: Sessions

    func add(to router: Router<ServiceRequestContext>) {
        router.post("/api/v1/sessions") { request, context in
            let body = try await request.json(Sessions.Credentials.self, limit: 4096)
            let opened = try await sessions.open(body, address: context.clientAddress(request))
            var response = try Response.json(opened, .created)
            response.headers[.setCookie] = sessions.cookieHeader(opened)
            return response
        }
        router.delete("/api/v1/sessions/current") { _, context in
            let caller = try context.requireCaller()
            if let session = caller.sessionID { try await sessions.close(session) }
            return Response(status: .noContent, headers: [.setCookie: Sessions.clearedCookie])
        }
        router.get("/api/v1/users") { _, context in
            try context.requireReader()
            let rows = try await bus.pool.query("SELECT \(StaffView.columns) FROM staff ORDER BY name")
            return try Response.json(Page(items: try rows.map { try StaffView($0) }, next: nil))
        }
        router.patch("/api/v1/users/:id") { request, context in
            let caller = try context.requireCaller()
            let user = try context.id("user")
            guard caller.isAdmin || caller.userID == user else { throw Problem.forbidden }
            struct Body: Decodable { let atWork: Bool }
            let body = try await request.json(Body.self)
            let version = request.headers[.ifMatch].map { _ in request.matchedVersion ?? -1 }
            let view = try await bus.transaction { transaction in
                let found = try await transaction.query(
                    "SELECT version FROM staff WHERE id = $1 FOR UPDATE", [.id(user)])
                guard let now = try found.first?.int("version") else { throw Problem.notFound("user") }
                // The switch is turned as often as one likes: without `If-Match` the last word holds.
                guard version == nil || version == now else { throw staleVersion(now) }
                let row = try await transaction.query(
                    "UPDATE staff SET at_work = $2, version = version + 1 WHERE id = $1 RETURNING \(StaffView.columns)",
                    [.id(user), .bool(body.atWork)])[0]
                if body.atWork { try await LeadDistribution.run(in: transaction) }
                return try StaffView(row)
            }
            return try Response.json(view)
        }
    }
}

/// A member of staff as the API shows him.
struct StaffView: AnswerShape {
    let id: ID
    let login, name: String
    let roles: [String]
    let email, department: String?
    let atWork, active: Bool
    let version: Int64

    static let columns = """
        id, login, name, roles::text AS roles, email, department, at_work, active, version
        """

    init(_ row: Row) throws {
        id = try row.id("id")
        login = try row.string("login")
        name = try row.string("name")
        roles = try row.list("roles")
        email = try row.optionalString("email")
        department = try row.optionalString("department")
        atWork = try row.bool("at_work")
        active = try row.bool("active")
        version = try row.int("version")
    }
}
