import Contracts
import Hummingbird
import Messaging
import Postgres
import Primitives
import ServiceKit

/// What was said, and a person's reply.
struct ConversationsAPI: Sendable {
    let bus: EventBus
    let outgoing: Signal

    struct ConversationView: AnswerShape {
        let id: ID
        let channel, externalId: String
        let journeyId: ID
        let heldBy: String?
        let waitingSince: Timestamp?
        let updatedAt: Timestamp
    }

    struct MessageView: AnswerShape {
        let id, journeyId: ID
        let direction, author, text, state: String
        let sentAt: Timestamp
    }

    struct Reply: Decodable, Sendable { let text: String }

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/api/v1/conversations") { request, context in
            let caller = try context.require("head", "manager", "bot", "reader", "integrator")
            return try Response.json(try await list(request, caller))
        }
        router.get("/api/v1/conversations/:id/messages") { request, context in
            let caller = try context.require("head", "manager", "bot", "reader", "integrator")
            return try Response.json(try await messages(try id(context), request, caller))
        }
        router.post("/api/v1/conversations/:id/messages") { request, context in
            let caller = try context.require("head", "manager")
            let conversationID = try id(context)
            return try await Idempotency(bus: bus).run(request, caller) { [outgoing] transaction, bytes in
                let reply = try decodeBody(Reply.self, bytes)
                guard !reply.text.isEmpty, reply.text.count <= ManagerReply.textLimit else {
                    throw Problem.invalid("text has 1 to \(ManagerReply.textLimit) characters")
                }
                let messageID = ID.make()
                guard var talk = try await Conversation.find(conversationID, in: transaction) else {
                    throw Problem.notFound("conversation")
                }
                try await ManagerReply.say(
                    reply.text.withoutNUL, id: messageID, by: caller.name, cause: nil, in: &talk,
                    transaction)
                transaction.afterCommit { outgoing.poke() }
                return try Idempotency.Answer(.accepted, ["id": messageID.description])
            }
        }
        router.post("/api/v1/conversations/:id/release") { _, context in
            let caller = try context.require("head", "manager")
            let conversationID = try id(context)
            try await bus.transaction { transaction in
                guard var talk = try await Conversation.find(conversationID, in: transaction) else {
                    throw Problem.notFound("conversation")
                }
                try await ManagerReply.release(by: caller.name, cause: nil, &talk, in: transaction)
            }
            return Response(status: .noContent)
        }
    }

    private func id(_ context: ServiceRequestContext) throws -> ID {
        guard let id = ID(try context.text("id")) else {
            throw Problem.notFound("conversation")
        }
        return id
    }

    /// The channels a key is narrowed to; NULL: all.
    private static func channels(_ caller: Caller) -> Parameter {
        caller.channels.isEmpty ? .text(nil) : .texts(Array(caller.channels))
    }

    private func list(_ request: Request, _ caller: Caller) async throws -> Page<ConversationView> {
        let limit = try request.limit()
        let after = try request.idQuery("after")
        let journey = try request.idQuery("journeyId")
        let rows = try await bus.pool.query(
            """
            SELECT id, connection, external_id, journey_id, held_by, waiting_since, updated_at
            FROM conversation WHERE ($1::uuid IS NULL OR id > $1) AND ($2::uuid IS NULL OR journey_id = $2)
                AND ($3::timestamptz IS NULL OR updated_at >= $3)
                AND ($4::text[] IS NULL OR connection = ANY($4))
            ORDER BY id LIMIT $5
            """,
            [
                .id(after), .id(journey), .time(try request.timeQuery("updatedSince")),
                Self.channels(caller), .int(limit + 1),
            ])
        let items = try rows.prefix(limit).map {
            ConversationView(
                id: try $0.id("id"), channel: try $0.string("connection"),
                externalId: try $0.string("external_id"), journeyId: try $0.id("journey_id"),
                heldBy: try $0.optionalString("held_by"),
                waitingSince: try $0.optionalTime("waiting_since"),
                updatedAt: try $0.time("updated_at"))
        }
        return Page(items: items, next: rows.count > limit ? items.last?.id.description : nil)
    }

    private func messages(_ id: ID, _ request: Request, _ caller: Caller) async throws -> Page<MessageView> {
        let limit = try request.limit()
        let after = try request.idQuery("after")
        guard
            try await bus.pool.query(
                """
                SELECT 1 AS one FROM conversation WHERE id = $1 AND ($2::text[] IS NULL OR connection = ANY($2))
                """, [.id(id), Self.channels(caller)]
            ).count == 1
        else { throw Problem.notFound("conversation") }
        let rows = try await bus.pool.query(
            """
            SELECT id, journey_id, direction, author, text, state, sent_at FROM message
            WHERE conversation_id = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3
            """, [.id(id), .id(after), .int(limit + 1)])
        let items = try rows.prefix(limit).map {
            MessageView(
                id: try $0.id("id"), journeyId: try $0.id("journey_id"),
                direction: try $0.string("direction"), author: try $0.string("author"),
                text: try $0.string("text"), state: try $0.string("state"),
                sentAt: try $0.time("sent_at"))
        }
        return Page(items: items, next: rows.count > limit ? items.last?.id.description : nil)
    }
}
