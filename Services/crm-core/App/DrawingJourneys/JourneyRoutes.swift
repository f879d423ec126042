import Hummingbird
import Postgres
import Primitives
import ServiceKit

/// `/api/v1/journeys`.
struct JourneyRoutes: Sendable {
    let pool: PostgresPool

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/api/v1/journeys/:id") { request, context in
            let caller = try context.requireReader()
            let id = try context.id("journey")
            try await Self.mustSee(id, caller, pool)
            guard let line = try await JourneyView.load(id, pool, .ru) else { throw Problem.notFound("journey") }
            return try Response.json(line)
        }
        router.get("/api/v1/journeys") { request, context in
            try context.require("head", "reader", "integrator", "manager")
            return try Response.json(try await list(request, try context.requireReader()))
        }
    }

    /// A record that a role may not see is not there for it.
    static func mustSee(_ journey: ID, _ caller: Caller, _ pool: PostgresPool) async throws {
        guard !caller.seesAll else { return }
        let rows = try await pool.query(
            """
            SELECT 1 AS one FROM lead WHERE journey_id = $1 AND (responsible_id = $2 OR responsible_id IS NULL)
            UNION ALL SELECT 1 FROM deal WHERE journey_id = $1 AND responsible_id = $2
            """, [.id(journey), .id(caller.userID)])
        if rows.isEmpty { throw Problem.notFound("journey") }
    }

    private func list(_ request: Request, _ caller: Caller) async throws -> Page<JourneyView> {
        let contact = try request.idQuery("contactId")
        let company = try request.idQuery("companyId")
        guard contact != nil || company != nil else {
            throw Problem.badRequest("contactId or companyId is wanted")
        }
        let limit = try request.limit()
        let rows = try await pool.query(
            """
            SELECT DISTINCT l.journey_id FROM lead l LEFT JOIN deal d ON d.journey_id = l.journey_id
            WHERE (l.contact_id = $1 OR d.company_id = $2 OR l.company_id = $2)
                AND ($3::uuid IS NULL OR l.responsible_id = $3 OR d.responsible_id = $3)
                AND ($4::uuid IS NULL OR l.journey_id < $4)
            ORDER BY l.journey_id DESC LIMIT $5
            """,
            [
                .id(contact), .id(company), .id(try caller.ownerFilter()), .id(try request.idQuery("after")),
                .int(limit + 1),
            ])
        let ids = try rows.prefix(limit).map { try $0.id("journey_id") }
        return Page(
            items: try await JourneyView.load(Array(ids), pool, .ru),
            next: rows.count > limit ? ids.last?.description : nil)
    }
}
