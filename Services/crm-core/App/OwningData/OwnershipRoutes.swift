import Hummingbird
import Postgres
import Primitives
import ServiceKit

/// `/api/v1/ownership`: who owns a client's fields, and what was refused because of it.
struct OwnershipRoutes: Sendable {
    let pool: PostgresPool

    struct Field: AnswerShape { let field, owner: String }
    struct Answer: AnswerShape {
        let fields: [Field]
        let refused: [RefusedWrites.Entry]
    }
    private struct Wish: Decodable { let owner: String }

    /// Refused writes that are shown.
    private static let shown = 50

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/api/v1/ownership") { _, context in
            try context.require("head", "manager", "accountant", "integrator", "reader")
            return try Response.json(try await answer())
        }
        router.put("/api/v1/ownership/:field") { request, context in
            let caller = try context.require("head", "integrator")
            try await set(
                try context.text("field"), try await request.json(Wish.self).owner, by: caller.name)
            return try Response.json(try await answer())
        }
    }

    func set(_ name: String, _ owner: String, by: String) async throws {
        guard let field = ClientTruth.Field(rawValue: name) else { throw Problem.notFound("field") }
        guard let owner = ClientTruth.Owner(rawValue: owner) else {
            throw Problem.invalid("owner is \(ClientTruth.Owner.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        try await DataOwners(runner: pool).set(field, owner, by: by)
    }

    func answer() async throws -> Answer {
        let owners = try await DataOwners(runner: pool).all()
        return Answer(
            fields: ClientTruth.Field.allCases.map {
                Field(field: $0.rawValue, owner: (owners[$0] ?? .both).rawValue)
            }, refused: try await RefusedWrites(pool: pool).list(limit: Self.shown))
    }
}
