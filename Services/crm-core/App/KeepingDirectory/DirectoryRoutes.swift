import Hummingbird
import Messaging
import Postgres
import Primitives
import ServiceKit

/// `/api/v1/companies` and `/api/v1/contacts`.
struct DirectoryRoutes: Sendable {
    let bus: EventBus

    func add(to router: Router<ServiceRequestContext>) {
        addCompanies(router)
        addContacts(router)
    }

    private func addCompanies(_ router: Router<ServiceRequestContext>) {
        let directory = Directory(runner: bus.pool)
        router.get("/api/v1/companies") { request, context in
            try context.requireReader()
            let limit = try request.limit()
            let rows = try await bus.pool.query(
                """
                \(CompanyView.select) WHERE ($1::uuid IS NULL OR id < $1) AND ($2::timestamptz IS NULL OR updated_at >= $2)
                ORDER BY id DESC LIMIT $3
                """,
                [.id(try request.idQuery("after")), .time(try request.timeQuery("updatedSince")), .int(limit + 1)])
            return try Response.json(page(try rows.map { try CompanyView($0) }, limit) { $0.id.description })
        }
        router.post("/api/v1/companies") { request, context in
            let caller = try context.require("manager", "head", "accountant")
            return try await Idempotency(bus: bus).run(request, caller) { transaction, bytes in
                let body = try decodeBody(Directory.CompanyBody.self, bytes)
                return try .init(.created, try await Directory(runner: transaction).addCompany(body))
            }
        }
        router.get("/api/v1/companies/:id") { _, context in
            try context.requireReader()
            return try Response.json(try await directory.company(try context.id("company")))
        }
        router.patch("/api/v1/companies/:id") { request, context in
            let caller = try context.require("manager", "head", "accountant")
            let body = try await request.json(Directory.CompanyBody.self)
            let (id, version) = (try context.id("company"), request.matchedVersion)
            return try Response.json(
                try await RefusedWrites(pool: bus.pool).guarding(by: caller.name) {
                    try await bus.transaction {
                        try await Directory(runner: $0).changeCompany(id, body, version: version, by: caller.name)
                    }
                })
        }
    }

    private func addContacts(_ router: Router<ServiceRequestContext>) {
        let directory = Directory(runner: bus.pool)
        router.get("/api/v1/contacts") { request, context in
            let caller = try context.require("manager", "head", "accountant", "reader", "integrator")
            let limit = try request.limit()
            let rows = try await bus.pool.query(
                """
                \(ContactView.select) WHERE ($1::uuid IS NULL OR id < $1) AND ($2::timestamptz IS NULL OR updated_at >= $2)
                    AND \(ContactView.isSeen("$4"))
                ORDER BY id DESC LIMIT $3
                """,
                [
                    .id(try request.idQuery("after")), .time(try request.timeQuery("updatedSince")), .int(limit + 1),
                    .id(try caller.ownerFilter()),
                ])
            return try Response.json(page(try rows.map { try ContactView($0) }, limit) { $0.id.description })
        }
        router.post("/api/v1/contacts") { request, context in
            let caller = try context.require("manager", "head")
            return try await Idempotency(bus: bus).run(request, caller) { transaction, bytes in
                let body = try decodeBody(Directory.ContactBody.self, bytes)
                return try .init(.created, try await Directory(runner: transaction).addContact(body))
            }
        }
        router.get("/api/v1/contacts/:id") { _, context in
            let caller = try context.requireReader()
            return try Response.json(
                try await directory.contact(try context.id("contact"), owner: try caller.ownerFilter()))
        }
        router.patch("/api/v1/contacts/:id") { request, context in
            let caller = try context.require("manager", "head")
            let body = try await request.json(Directory.ContactBody.self)
            let (id, version) = (try context.id("contact"), request.matchedVersion)
            _ = try await directory.contact(id, owner: try caller.ownerFilter())
            return try Response.json(
                try await RefusedWrites(pool: bus.pool).guarding(by: caller.name) {
                    try await bus.transaction {
                        try await Directory(runner: $0).changeContact(id, body, version: version, by: caller.name)
                    }
                })
        }
    }
}
