import HTTPTypes
import Hummingbird
import Messaging
import Postgres
import Primitives
import ServiceKit

/// `/api/v1/deals`.
struct DealRoutes: Sendable {
    let bus: EventBus
    let deals: DealActions

    func add(to router: Router<ServiceRequestContext>) {
        let once = Idempotency(bus: bus)
        router.get("/api/v1/deals") { request, context in
            try Response.json(try await list(request, try context.requireReader()))
        }
        router.get("/api/v1/deals/:id") { _, context in
            try Response.json(
                try await DealView.load(try context.id("deal"), for: try context.requireReader(), in: bus.pool))
        }
        router.patch("/api/v1/deals/:id") { request, context in
            let (caller, id) = (try context.require("manager", "head"), try context.id("deal"))
            let change = try await request.json(DealActions.Change.self)
            let version = request.matchedVersion
            let deal = try await bus.transaction { transaction in
                try await deals.change(id, change, of: version, by: caller, in: transaction)
                return try await DealView.load(id, for: caller, in: transaction)
            }
            return try Response.json(deal)
        }
        router.post("/api/v1/deals/:id/stage") { request, context in
            let (caller, id) = (try context.require("manager", "head"), try context.id("deal"))
            return try await once.run(request, caller) { transaction, bytes in
                struct Body: Decodable {
                    let stage: String
                    let lostReason: String?
                }
                let body = try decodeBody(Body.self, bytes)
                try await deals.move(
                    id, to: body.stage, lostReason: body.lostReason, by: caller, in: transaction)
                return try .init(.ok, try await DealView.load(id, for: caller, in: transaction))
            }
        }
    }

    private func list(_ request: Request, _ caller: Caller) async throws -> Page<DealView> {
        let limit = try request.limit()
        let rows = try await bus.pool.query(
            """
            \(DealView.select)
            WHERE ($1::uuid IS NULL OR d.journey_id = $1) AND ($2::uuid IS NULL OR d.responsible_id = $2)
                AND ($3::uuid IS NULL OR d.id < $3) AND ($4::uuid IS NULL OR d.company_id = $4)
                AND ($5::timestamptz IS NULL OR d.updated_at >= $5)
            ORDER BY d.id DESC LIMIT $6
            """,
            [
                .id(try request.idQuery("journeyId")), .id(try caller.ownerFilter()),
                .id(try request.idQuery("after")), .id(try request.idQuery("companyId")),
                .time(try request.timeQuery("updatedSince")), .int(limit + 1),
            ])
        return page(try rows.map { try DealView($0) }, limit) { $0.id.description }
    }
}
