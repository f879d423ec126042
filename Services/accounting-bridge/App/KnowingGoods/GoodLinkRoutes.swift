import Hummingbird
import Messaging
import Postgres
import Primitives
import ServiceKit

/// Goods that nobody could tell, and a person's word, over HTTP and on the page of goods.
struct GoodLinkRoutes: Sendable {
    let links: GoodLinks
    let repair: Repair

    private struct Chosen: AnswerShape {
        /// Orders that go to 1C again.
        let orders: Int64
    }

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/api/v1/good-questions") { request, context in
            try context.require("head", "manager", "accountant", "integrator", "reader")
            return try Response.json(Page(items: try await links.questions(limit: try request.limit()), next: nil))
        }
        router.post("/api/v1/good-links") { request, context in
            let caller = try context.require("accountant", "head", "integrator")
            let choice = try await request.json(GoodLinks.Choice.self)
            return try Response.json(Chosen(orders: try await choose(choice, by: caller)), .created)
        }
        router.delete("/api/v1/good-links") { request, context in
            try context.require("accountant", "head", "integrator")
            guard let base = request.query("base") else { throw Problem.badRequest("base and sku or name are wanted") }
            try await links.forget(base: base, sku: request.query("sku"), name: request.query("name"))
            return Response(status: .noContent)
        }
        router.post("/journal/good-links") { request, context in
            let caller = try context.require("accountant", "head", "integrator")
            let form = try await Form(request)
            let choice = GoodLinks.Choice(
                base: form["base"] ?? "", goodId: form["goodId"] ?? "", sku: form.filled("sku"),
                name: form.filled("name"))
            let query: String
            do {
                query = "?chosen=\(try await choose(choice, by: caller))"
            } catch let problem as Problem { query = "?error=\(Form.encoded(problem.detail ?? problem.title))" }
            return Response(status: .seeOther, headers: [.location: "/journal/goods\(query)"])
        }
    }

    /// - Returns: how many orders go again.
    private func choose(_ choice: GoodLinks.Choice, by caller: Caller) async throws -> Int64 {
        // All of it or nothing: a choice whose orders stay aside would ask nobody any more.
        try await repair.bus.transaction { transaction in
            var count: Int64 = 0
            for order in try await links.choose(choice, by: caller, in: transaction) {
                // One that somebody has let go, or taken back, meanwhile is where he has it.
                do {
                    _ = try await repair.attempt(.order, order, nil, by: caller.name, in: transaction)
                    count += 1
                } catch is Repair.Refused {}
            }
            return count
        }
    }
}
