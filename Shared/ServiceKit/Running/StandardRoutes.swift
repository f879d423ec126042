import Contracts
import HTTPTypes
import Hummingbird
import Messaging
import Postgres
import Primitives
import Synchronization

/// Where a starting service is, for `/readyz`.
final class Readiness: Sendable {
    private let missing = Mutex<String?>("starting")
    func set(_ reason: String?) { missing.withLock { $0 = reason } }
    var reason: String? { missing.withLock { $0 } }
}

/// What every service answers alike.
struct StandardRoutes<Service: SuiteService>: Sendable {
    let service: Service
    let readiness: Readiness

    struct Ready: Codable {
        let ready: Bool
        let missing: [String]
        let heads: [String: Int64]
        let subscriptions: [SubscriptionStatus]
        let bus: BusCounters
    }

    func ready() -> Ready {
        let missing =
            [readiness.reason, service.bus.missing].compactMap { $0 }
            + service.bus.subscriptions.filter(\.stopped).map { "\($0.name): \($0.phase)" }
        return Ready(
            ready: missing.isEmpty, missing: missing, heads: service.bus.heads,
            subscriptions: service.bus.subscriptions, bus: service.bus.counters)
    }

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/healthz") { _, _ in Response.text("ok\n") }
        router.get("/readyz") { _, _ in
            let state = ready()
            return try Response.json(state, state.ready ? .ok : .serviceUnavailable)
        }
        router.get("/metrics") { _, _ in
            // Also without the database: what is counted in memory is still said.
            let queues = (try? await service.queues()) ?? []
            let parked = (try? await parkedByType()) ?? [:]
            return Response.text(
                PrometheusFactory.shared.text() + BusMetrics.text(service.bus, queues: queues, parked: parked),
                type: "text/plain; version=0.0.4; charset=utf-8")
        }
        router.get("/api/v1/parked/events") { request, context in
            try context.require("head", "integrator")
            return try Response.json(try await parked(try request.limit()))
        }
        router.get("/api/v1/connectors") { _, context in
            try context.require("head", "integrator", "reader")
            return try Response.json(Page(items: try await service.connectors(), next: nil))
        }
        BusRoutes(service: service, missing: { [readiness] in readiness.reason }).add(to: router)
        router.get("/openapi.yaml") { _, _ in
            Response.text(OpenAPI.text(Service.openAPI), type: "application/yaml; charset=utf-8")
        }
    }

    /// What this service has set aside, newest first: events that it could not take, and what came from outside.
    private func parked(_ limit: Int) async throws -> Page<ParkedItem> {
        let rows = try await service.bus.pool.query(
            """
            SELECT id, type || ' ' || stream || '#' || seq AS what, reason, parked_at, correlation FROM parked
            WHERE settled_at IS NULL ORDER BY parked_at DESC LIMIT $1
            """, [.int(limit)])
        let events = try rows.map {
            ParkedItem(
                id: try $0.id("id").description, service: Service.identity.name, what: try $0.string("what"),
                reason: try $0.string("reason"), at: try $0.time("parked_at"),
                journeyId: try $0.optionalID("correlation"))
        }
        let items = (events + (try await service.setAside(limit))).sorted { $0.at > $1.at }
        return Page(items: Array(items.prefix(limit)), next: nil)
    }

    private func parkedByType() async throws -> [String: Int] {
        let rows = try await service.bus.pool.query(
            "SELECT type, count(*) AS n FROM parked WHERE settled_at IS NULL GROUP BY type")
        return Dictionary(try rows.map { (try $0.string("type"), Int(try $0.int("n"))) }) { $0 + $1 }
    }
}

/// Something set aside: what it is, and why in words a person understands.
public struct ParkedItem: AnswerShape {
    public let id: String
    public let service, what, reason: String
    public let at: Timestamp
    public let journeyId: ID?

    public init(id: String, service: String, what: String, reason: String, at: Timestamp, journeyId: ID?) {
        self.id = id
        self.service = service
        self.what = what
        self.reason = reason
        self.at = at
        self.journeyId = journeyId
    }
}
