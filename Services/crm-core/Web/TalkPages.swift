import Contracts
import HTTPTypes
import Hummingbird
import Messaging
import Postgres
import Primitives
import ServiceKit
import Sodium

/// The chat and the line of a journey: shown on a lead's and a deal's page, moving while one looks.
struct TalkPages: Sendable {
    let bus: EventBus
    let sessions: Sessions
    let renderer: PageRenderer
    let live: LivePages

    private static let replyLimit = 4096

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/journeys/:id") { _, context in
            _ = try context.person()
            let rows = try await bus.pool.query(
                "SELECT id, deal_id FROM lead WHERE journey_id = $1", [.id(try context.id("journey"))])
            guard let row = rows.first else { throw Problem.notFound("journey") }
            if let deal = try row.optionalID("deal_id") { return Response.redirect("/deals/\(deal)") }
            return Response.redirect("/leads/\(try row.id("id"))")
        }
        router.get("/live/:id") { _, context in
            let caller = try context.person()
            let journey = try context.id("journey")
            try await JourneyRoutes.mustSee(journey, caller, bus.pool)
            return try Response.live(live.listen(journey)) { _ in "changed" }
        }
        router.get("/live/:id/parts") { request, context in
            let caller = try context.person()
            let journey = try context.id("journey")
            try await JourneyRoutes.mustSee(journey, caller, bus.pool)
            let parts = try await parts(journey, renderer.language(request))
            return try Response.json(["chat": parts.chat, "line": parts.line, "held": parts.held ?? ""])
        }
        router.action("/conversations/:id/reply", sessions) { id, form, caller in
            let text = (form["text"] ?? "").withoutNUL
            guard !text.isEmpty, text.count <= Self.replyLimit, let user = caller.userID else {
                throw Problem.invalid("ответ — от 1 до \(Self.replyLimit) знаков")
            }
            // A button that was pressed twice says it once; other words from the same page are another reply.
            let key = hex(sha256(Array(((form["page"] ?? ID.make().description) + text).utf8)))
            _ = try await Idempotency(bus: bus).once(key, route: "/conversations/\(id)/reply", caller, []) {
                transaction, _ in
                let reply = ReplyRequested(
                    conversationId: id, replyId: .make(), text: text, userId: user, by: caller.name)
                try await command(reply, id, caller, in: transaction)
                return try .init(.accepted, ["id": reply.replyId.description])
            }
            return "/journeys/\(form["journey"] ?? "")"
        }
        router.action("/conversations/:id/release", sessions) { id, form, caller in
            try await bus.transaction {
                try await command(ReleaseRequested(conversationId: id, by: caller.name), id, caller, in: $0)
            }
            return "/journeys/\(form["journey"] ?? "")"
        }
    }

    /// What the page's template needs.
    func fields(_ journey: ID, _ caller: Caller, _ language: Language) async throws -> [String: Any] {
        let parts = try await parts(journey, language)
        return [
            "journey": journey.description, "page": ID.make().description, "chat": parts.chat, "line": parts.line,
            "held": parts.held ?? "", "conversation": parts.conversation?.description ?? "",
        ]
    }

    private struct Parts: Sendable {
        let chat, line: String
        /// Who holds the talk; nil: the bot answers.
        let held: String?
        let conversation: ID?
    }

    private func parts(_ journey: ID, _ language: Language) async throws -> Parts {
        let fragments = Fragments(pool: bus.pool, language: language)
        let talk = try await bus.pool.query(
            "SELECT id, held_by FROM conversation WHERE journey_id = $1 ORDER BY id LIMIT 1", [.id(journey)]
        ).first
        return Parts(
            chat: try await fragments.chat(journey), line: try await fragments.line(journey),
            held: try talk?.optionalString("held_by"), conversation: try talk?.id("id"))
    }

    /// A command to the gateway, in answer to what was said last on the journey.
    private func command(
        _ data: some EventContract, _ conversation: ID, _ caller: Caller, in transaction: EventTransaction
    ) async throws {
        guard
            let row = try await transaction.query(
                """
                SELECT journey_id, (SELECT s.id FROM journey_step s WHERE s.journey_id = c.journey_id
                    ORDER BY s.at DESC, s.id DESC LIMIT 1) AS last
                FROM conversation c WHERE id = $1 FOR UPDATE
                """, [.id(conversation)]
            ).first
        else { throw Problem.notFound("conversation") }
        let journey = try row.id("journey_id")
        try await JourneyRoutes.mustSee(journey, caller, bus.pool)
        try transaction.emit(
            data, key: conversation.description, correlation: journey,
            causation: try row.optionalID("last"), target: "bot-gateway")
    }
}
