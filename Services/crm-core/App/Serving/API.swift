import Contracts
import Hummingbird
import HTTPTypes
import Messaging
import Postgres
import Primitives
import ServiceKit

/// The public API of crm-core.
struct API: Sendable {
    let bus: EventBus
    let sessions: Sessions
    let leads: LeadActions
    let deals: DealActions
    let orders: OrderRequest
    let directory: Directory

    private var pool: PostgresPool { bus.pool }
    private var idempotency: Idempotency { Idempotency(pool: bus.pool) }

    func add(to router: Router<ServiceRequestContext>) {
        addSessions(router)
        addLeads(router)
        addDeals(router)
        addDirectory(router)
        EventFeed(bus: bus).add(to: router)
        router.get("/api/v1/search") { request, context in
            let caller = try context.requireCaller()
            let hits = try await Search(pool: pool).find(request.query("q") ?? "", by: caller)
            return try Response.json(Page(items: hits, next: nil))
        }
        router.get("/api/v1/journeys/:id") { _, context in
            let caller = try context.requireCaller()
            let id = try id(context, "journey")
            try await mustSee(journey: id, caller)
            guard let line = try await JourneyView.load(id, pool) else { throw Problem.notFound("journey") }
            return try Response.json(line)
        }
        router.get("/api/v1/journeys") { request, context in
            try context.require("head", "reader", "integrator", "manager")
            return try Response.json(try await journeys(request))
        }
    }

    private func id(_ context: ServiceRequestContext, _ what: String) throws -> ID {
        guard let id = ID(try context.parameters.require("id")) else { throw Problem.notFound(what) }
        return id
    }

    /// A record that a role may not see is not there for it.
    private func mustSee(journey: ID, _ caller: Caller) async throws {
        guard !caller.seesAll else { return }
        let rows = try await pool.query(
            """
            SELECT 1 AS one FROM lead WHERE journey_id = $1 AND (responsible_id = $2 OR responsible_id IS NULL)
            UNION ALL SELECT 1 FROM deal WHERE journey_id = $1 AND responsible_id = $2
            """, [.id(journey), .id(caller.userID)])
        if rows.isEmpty { throw Problem.notFound("journey") }
    }

    // MARK: sessions

    private func addSessions(_ router: Router<ServiceRequestContext>) {
        router.post("/api/v1/sessions") { request, _ in
            let body = try await request.json(Sessions.Credentials.self, limit: 4096)
            let opened = try await sessions.open(body, address: request.clientAddress)
            var response = try Response.json(opened, .created)
            response.headers[.setCookie] = Sessions.cookieHeader(opened)
            return response
        }
        router.delete("/api/v1/sessions/current") { _, context in
            let caller = try context.requireCaller()
            if let session = caller.sessionID { try await sessions.close(session) }
            return Response(status: .noContent, headers: [.setCookie: Sessions.clearedCookie])
        }
        router.get("/api/v1/users") { _, context in
            try context.requireCaller()
            let rows = try await pool.query(
                """
                SELECT id, login, name, roles::text AS roles, email, department, at_work, active, version
                FROM staff ORDER BY name
                """)
            return try Response.json(Page(items: try rows.map { try StaffView($0) }, next: nil))
        }
        router.patch("/api/v1/users/:id") { request, context in
            let caller = try context.requireCaller()
            let user = try id(context, "user")
            guard caller.isAdmin || caller.userID == user else { throw Problem.forbidden }
            struct Body: Decodable { let atWork: Bool }
            let body = try await request.json(Body.self)
            let rows = try await pool.query(
                """
                UPDATE staff SET at_work = $2, version = version + 1 WHERE id = $1
                RETURNING id, login, name, roles::text AS roles, email, department, at_work, active, version
                """, [.id(user), .bool(body.atWork)])
            guard let row = rows.first else { throw Problem.notFound("user") }
            return try Response.json(try StaffView(row))
        }
    }

    // MARK: leads

    private func addLeads(_ router: Router<ServiceRequestContext>) {
        router.get("/api/v1/leads") { request, context in
            try Response.json(try await list(request, try context.requireCaller()))
        }
        router.get("/api/v1/leads/:id") { _, context in
            try Response.json(try await lead(try id(context, "lead"), try context.requireCaller()))
        }
        router.post("/api/v1/leads/:id/take") { request, context in
            let (caller, lead) = (try context.require("manager", "head"), try id(context, "lead"))
            return try await idempotency.run(request, caller) { _ in
                try await leads.take(lead, by: caller)
                return (.ok, try await self.lead(lead, caller))
            }
        }
        router.post("/api/v1/leads/:id/reject") { request, context in
            let (caller, lead) = (try context.require("manager", "head"), try id(context, "lead"))
            struct Body: Decodable { let reason: String }
            return try await idempotency.run(request, caller) { bytes in
                try await leads.reject(lead, reason: try decode(Body.self, bytes).reason, by: caller)
                return (.ok, try await self.lead(lead, caller))
            }
        }
        router.post("/api/v1/leads/:id/convert") { request, context in
            let (caller, lead) = (try context.require("manager", "head"), try id(context, "lead"))
            return try await idempotency.run(request, caller) { bytes in
                let wish = try decode(LeadActions.Conversion.self, bytes.isEmpty ? Array("{}".utf8) : bytes)
                let deal = try await leads.convert(lead, wish, by: caller)
                return (.created, try await self.deal(deal, caller))
            }
        }
    }

    private func decode<Value: Decodable>(_ type: Value.Type, _ bytes: [UInt8]) throws -> Value {
        do { return try JSON.decode(type, from: bytes) } catch {
            throw Problem.badRequest((error as? DecodingError)?.place ?? "the body is no JSON")
        }
    }

    func lead(_ id: ID, _ caller: Caller) async throws -> LeadView {
        guard let row = try await pool.query(
            """
            \(LeadView.select) WHERE l.id = $1
                AND ($2::uuid IS NULL OR l.responsible_id = $2 OR l.responsible_id IS NULL)
            """, [.id(id), .id(caller.seesAll ? nil : caller.userID)]
        ).first else { throw Problem.notFound("lead") }
        return try LeadView(row)
    }

    private func list(_ request: Request, _ caller: Caller) async throws -> Page<LeadView> {
        let limit = try request.limit()
        let rows = try await pool.query(
            """
            \(LeadView.select)
            WHERE ($1::uuid IS NULL OR l.journey_id = $1) AND ($2::uuid IS NULL OR l.responsible_id = $2)
                AND ($3::uuid IS NULL OR l.id < $3) AND ($4::text IS NULL OR l.status = $4)
                AND ($5::timestamptz IS NULL OR l.updated_at >= $5)
            ORDER BY l.id DESC LIMIT $6
            """,
            [
                .id(try request.idQuery("journeyId")), .id(caller.seesAll ? nil : caller.userID),
                .id(try request.idQuery("after")), .text(request.query("status")),
                .time(try request.timeQuery("updatedSince")), .int(limit + 1),
            ])
        let items = try rows.prefix(limit).map { try LeadView($0) }
        return Page(items: items, next: rows.count > limit ? items.last?.id.description : nil)
    }

    // MARK: deals and orders

    private func addDeals(_ router: Router<ServiceRequestContext>) {
        router.get("/api/v1/deals") { request, context in
            let caller = try context.requireCaller()
            let limit = try request.limit()
            let rows = try await pool.query(
                """
                \(DealView.select)
                WHERE ($1::uuid IS NULL OR d.journey_id = $1) AND ($2::uuid IS NULL OR d.responsible_id = $2)
                    AND ($3::uuid IS NULL OR d.id < $3) AND ($4::uuid IS NULL OR d.company_id = $4)
                    AND ($5::timestamptz IS NULL OR d.updated_at >= $5)
                ORDER BY d.id DESC LIMIT $6
                """,
                [
                    .id(try request.idQuery("journeyId")), .id(caller.seesAll ? nil : caller.userID),
                    .id(try request.idQuery("after")), .id(try request.idQuery("companyId")),
                    .time(try request.timeQuery("updatedSince")), .int(limit + 1),
                ])
            let items = try rows.prefix(limit).map { try DealView($0) }
            return try Response.json(
                Page(items: items, next: rows.count > limit ? items.last?.id.description : nil))
        }
        router.get("/api/v1/deals/:id") { _, context in
            try Response.json(try await deal(try id(context, "deal"), try context.requireCaller()))
        }
        router.patch("/api/v1/deals/:id") { request, context in
            let (caller, deal) = (try context.require("manager", "head"), try id(context, "deal"))
            let change = try await request.json(DealActions.Change.self)
            try await deals.change(deal, change, ifMatch: request.headers[.ifMatch], by: caller)
            return try Response.json(try await self.deal(deal, caller))
        }
        router.post("/api/v1/deals/:id/stage") { request, context in
            let (caller, deal) = (try context.require("manager", "head"), try id(context, "deal"))
            struct Body: Decodable { let stage: String; let lostReason: String? }
            return try await idempotency.run(request, caller) { bytes in
                let body = try decode(Body.self, bytes)
                try await deals.move(deal, to: body.stage, lostReason: body.lostReason, by: caller)
                return (.ok, try await self.deal(deal, caller))
            }
        }
        router.post("/api/v1/deals/:id/orders") { request, context in
            let (caller, deal) = (try context.require("manager", "head"), try id(context, "deal"))
            return try await idempotency.run(request, caller, required: true) { bytes in
                (.created, try await orders.ask(deal, try decode(OrderRequest.Body.self, bytes), by: caller))
            }
        }
        router.get("/api/v1/orders/:id") { _, context in
            let caller = try context.requireCaller()
            guard let order = try await OrderView.load(try id(context, "order"), in: pool) else {
                throw Problem.notFound("order")
            }
            if let deal = order.dealId { _ = try await self.deal(deal, caller) }
            return try Response.json(order)
        }
    }

    func deal(_ id: ID, _ caller: Caller) async throws -> DealView {
        guard let row = try await pool.query(
            "\(DealView.select) WHERE d.id = $1 AND ($2::uuid IS NULL OR d.responsible_id = $2)",
            [.id(id), .id(caller.seesAll ? nil : caller.userID)]
        ).first else { throw Problem.notFound("deal") }
        return try DealView(row)
    }

    // MARK: companies, contacts, journeys

    private func addDirectory(_ router: Router<ServiceRequestContext>) {
        router.get("/api/v1/companies") { request, context in
            try context.requireCaller()
            let limit = try request.limit()
            let rows = try await pool.query(
                "\(CompanyView.select) WHERE ($1::uuid IS NULL OR id < $1) ORDER BY id DESC LIMIT $2",
                [.id(try request.idQuery("after")), .int(limit + 1)])
            let items = try rows.prefix(limit).map { try CompanyView($0) }
            return try Response.json(
                Page(items: items, next: rows.count > limit ? items.last?.id.description : nil))
        }
        router.post("/api/v1/companies") { request, context in
            let caller = try context.require("manager", "head", "accountant")
            return try await idempotency.run(request, caller) { bytes in
                (.created, try await directory.addCompany(try decode(Directory.CompanyBody.self, bytes)))
            }
        }
        router.get("/api/v1/companies/:id") { _, context in
            try context.requireCaller()
            return try Response.json(try await directory.company(try id(context, "company")))
        }
        router.patch("/api/v1/companies/:id") { request, context in
            try context.require("manager", "head", "accountant")
            let body = try await request.json(Directory.CompanyBody.self)
            return try Response.json(
                try await directory.changeCompany(
                    try id(context, "company"), body, version: request.matchedVersion))
        }
        router.get("/api/v1/contacts") { request, context in
            try context.require("manager", "head", "accountant", "reader", "integrator")
            let limit = try request.limit()
            let rows = try await pool.query(
                "\(ContactView.select) WHERE ($1::uuid IS NULL OR id < $1) ORDER BY id DESC LIMIT $2",
                [.id(try request.idQuery("after")), .int(limit + 1)])
            let items = try rows.prefix(limit).map { try ContactView($0) }
            return try Response.json(
                Page(items: items, next: rows.count > limit ? items.last?.id.description : nil))
        }
        router.post("/api/v1/contacts") { request, context in
            let caller = try context.require("manager", "head")
            return try await idempotency.run(request, caller) { bytes in
                (.created, try await directory.addContact(try decode(Directory.ContactBody.self, bytes)))
            }
        }
        router.get("/api/v1/contacts/:id") { _, context in
            try context.requireCaller()
            return try Response.json(try await directory.contact(try id(context, "contact")))
        }
        router.patch("/api/v1/contacts/:id") { request, context in
            try context.require("manager", "head")
            let body = try await request.json(Directory.ContactBody.self)
            return try Response.json(
                try await directory.changeContact(
                    try id(context, "contact"), body, version: request.matchedVersion))
        }
    }

    private func journeys(_ request: Request) async throws -> Page<JourneyView> {
        let contact = try request.idQuery("contactId")
        let company = try request.idQuery("companyId")
        guard contact != nil || company != nil else {
            throw Problem.badRequest("contactId or companyId is wanted")
        }
        let rows = try await pool.query(
            """
            SELECT DISTINCT l.journey_id FROM lead l LEFT JOIN deal d ON d.journey_id = l.journey_id
            WHERE l.contact_id = $1 OR d.company_id = $2 OR l.company_id = $2
            ORDER BY l.journey_id DESC LIMIT 50
            """, [.id(contact), .id(company)])
        var lines: [JourneyView] = []
        for row in rows {
            if let line = try await JourneyView.load(try row.id("journey_id"), pool) { lines.append(line) }
        }
        return Page(items: lines, next: nil)
    }
}

struct StaffView: Encodable, Sendable {
    let id: ID
    let login, name: String
    let roles: [String]
    let email, department: String?
    let atWork, active: Bool
    let version: Int64

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

extension Request {
    func idQuery(_ name: String) throws -> ID? {
        try query(name).map { text in
            guard let id = ID(text) else { throw Problem.badRequest("\(name) is not an id") }
            return id
        }
    }

    func timeQuery(_ name: String) throws -> Timestamp? {
        try query(name).map { text in
            guard let time = Timestamp(text) else { throw Problem.badRequest("\(name) is no RFC 3339 time") }
            return time
        }
    }

    /// The version in `If-Match`, with or without quotes.
    var matchedVersion: Int64? { headers[.ifMatch].flatMap { Int64($0.filter(\.isNumber)) } }

    /// The caller's address for throttling; behind a proxy the one it passes on.
    var clientAddress: String {
        HTTPField.Name("X-Forwarded-For").flatMap { headers[$0] }?.split(separator: ",").first
            .map(String.init) ?? "direct"
    }
}
