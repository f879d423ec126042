import Hummingbird
import Messaging
import Postgres
import Primitives
import ServiceKit

/// `/api/v1/leads`.
struct LeadRoutes: Sendable {
    let bus: EventBus
    let leads: LeadActions

    func add(to router: Router<ServiceRequestContext>) {
        let once = Idempotency(bus: bus)
        router.get("/api/v1/leads") { request, context in
            try Response.json(try await list(request, try context.requireReader()))
        }
        router.get("/api/v1/leads/:id") { _, context in
            try Response.json(
                try await LeadView.load(try context.id("lead"), for: try context.requireReader(), in: bus.pool))
        }
        router.post("/api/v1/leads/:id/take") { request, context in
            let (caller, id) = (try context.require("manager", "head"), try context.id("lead"))
            return try await once.run(request, caller) { transaction, _ in
                try await leads.take(id, by: caller, in: transaction)
                return try .init(.ok, try await LeadView.load(id, for: caller, in: transaction))
            }
        }
        router.post("/api/v1/leads/:id/reject") { request, context in
            let (caller, id) = (try context.require("manager", "head"), try context.id("lead"))
            return try await once.run(request, caller) { transaction, bytes in
                struct Body: Decodable { let reason: String }
                let reason = try decodeBody(Body.self, bytes).reason
                try await leads.reject(id, reason: reason, by: caller, in: transaction)
                return try .init(.ok, try await LeadView.load(id, for: caller, in: transaction))
            }
        }
        router.post("/api/v1/leads/:id/convert") { request, context in
            let (caller, id) = (try context.require("manager", "head"), try context.id("lead"))
            return try await once.run(request, caller) { transaction, bytes in
                let wish = try decodeBody(LeadActions.Conversion.self, bytes)
                let deal = try await leads.convert(id, wish, by: caller, in: transaction)
                return try .init(.created, try await DealView.load(deal, for: caller, in: transaction))
            }
        }
    }

    private func list(_ request: Request, _ caller: Caller) async throws -> Page<LeadView> {
        let limit = try request.limit()
        let rows = try await bus.pool.query(
            """
            \(LeadView.select)
            WHERE ($1::uuid IS NULL OR l.journey_id = $1) AND ($2::uuid IS NULL OR l.responsible_id = $2 OR l.responsible_id IS NULL)
                AND ($3::uuid IS NULL OR l.id < $3) AND ($4::text IS NULL OR l.status = $4)
                AND ($5::timestamptz IS NULL OR l.updated_at >= $5)
            ORDER BY l.id DESC LIMIT $6
            """,
            [
                .id(try request.idQuery("journeyId")), .id(try caller.ownerFilter()),
                .id(try request.idQuery("after")), .text(request.query("status")),
                .time(try request.timeQuery("updatedSince")), .int(limit + 1),
            ])
        return page(try rows.map { try LeadView($0) }, limit) { $0.id.description }
    }
}
