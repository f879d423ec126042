import Hummingbird
import Messaging
import Postgres
import Primitives
import ServiceKit

/// Asking 1C for an order, and what is known of it.
struct OrderRoutes: Sendable {
    let bus: EventBus
    let orders: OrderRequest
    let books: OwnBooks
    let changes: OrderChanges
    let invoices: Invoices

    func add(to router: Router<ServiceRequestContext>) {
        let once = Idempotency(bus: bus)
        router.post("/api/v1/deals/:id/orders") { request, context in
            let (caller, deal) = (try context.require("manager", "head"), try context.id("deal"))
            return try await once.run(request, caller, required: true) { transaction, bytes in
                let body = try decodeBody(OrderRequest.Body.self, bytes)
                return try .init(.created, try await orders.ask(deal, body, by: caller, in: transaction))
            }
        }
        router.get("/api/v1/orders/:id") { _, context in
            let caller = try context.requireReader()
            guard let order = try await OrderView.load(try context.id("order"), in: bus.pool) else {
                throw Problem.notFound("order")
            }
            // Who may not see the deal may not see its order.
            if let deal = order.dealId { _ = try await DealView.load(deal, for: caller, in: bus.pool) }
            return try Response.json(order)
        }
        router.post("/api/v1/orders/:id/cancel") { request, context in
            let (caller, order) = (try context.require("manager", "head"), try context.id("order"))
            return try await once.run(request, caller, required: true) { transaction, bytes in
                let wish = try decodeBody(OrderChanges.Cancellation.self, bytes.isEmpty ? Array("{}".utf8) : bytes)
                return try .init(.accepted, try await changes.cancel(order, wish, by: caller, in: transaction))
            }
        }
        router.post("/api/v1/orders/:id/revisions") { request, context in
            let (caller, order) = (try context.require("manager", "head"), try context.id("order"))
            return try await once.run(request, caller, required: true) { transaction, bytes in
                let wish = try decodeBody(OrderChanges.Revision.self, bytes)
                return try .init(.accepted, try await changes.revise(order, wish, by: caller, in: transaction))
            }
        }
        router.post("/api/v1/orders/:id/invoice") { request, context in
            let (caller, order) = (try context.require("manager", "head"), try context.id("order"))
            return try await once.run(request, caller) { transaction, bytes in
                let word = try decodeBody(Invoices.Word.self, bytes)
                return try .init(.created, try await invoices.mark(order, word, by: caller, in: transaction))
            }
        }
        router.delete("/api/v1/orders/:id/invoice/:state") { _, context in
            let (caller, order) = (try context.require("manager", "head"), try context.id("order"))
            let state = try context.text("state")
            return try Response.json(
                try await bus.transaction { try await invoices.unmark(order, state, by: caller, in: $0) })
        }
        router.post("/api/v1/orders/:id/documents") { request, context in
            let (caller, order) = (try context.require("accountant", "head"), try context.id("order"))
            return try await RefusedWrites(pool: bus.pool).guarding(by: caller.name) {
                try await once.run(request, caller, required: true) { transaction, bytes in
                    let entry = try decodeBody(OwnBooks.Entry.self, bytes)
                    return try .init(.created, try await books.record(order, entry, by: caller, in: transaction))
                }
            }
        }
        router.delete("/api/v1/orders/:id/documents/:document") { _, context in
            let (caller, order) = (try context.require("accountant", "head"), try context.id("order"))
            let document = try context.text("document")
            return try Response.json(
                try await RefusedWrites(pool: bus.pool).guarding(by: caller.name) {
                    try await bus.transaction { try await books.cancel(order, document: document, by: caller, in: $0) }
                })
        }
    }
}
