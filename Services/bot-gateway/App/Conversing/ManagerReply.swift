import Contracts
import Messaging
import Postgres
import Primitives

/// A person speaks in a talk: the bot is silent there from now on, until he gives it back.
enum ManagerReply {
    /// Bytes of one reply at most (Telegram takes 4096 characters).
    static let textLimit = 4096

    static func say(
        _ text: String, id: ID, by name: String, cause: ID?, in conversation: inout Conversation,
        _ transaction: EventTransaction
    ) async throws {
        if let cause { conversation.lastEvent = cause }
        if conversation.heldBy == nil {
            try conversation.emit(
                ConversationHandedOver(
                    conversationId: conversation.id, channel: conversation.connection, to: "manager",
                    by: name),
                in: transaction)
        }
        conversation.heldBy = name
        if conversation.isTelegram {
            try Outbox.add(
                .message(text, .none), id: id, author: "manager", by: name, to: conversation,
                in: transaction)
        } else {
            // Other channels fetch what is said to them; for them it is said when it can be fetched.
            let seconds = conversation.waitingSince.map { max(0, Timestamp.now().seconds(since: $0)) }
            conversation.waitingSince = nil
            guard
                try await conversation.record(
                    messageID: id, direction: "out", author: "manager", externalID: "out-\(id)",
                    text: text, state: "sent", at: .now(), in: transaction)
            else { return }
            try conversation.emit(
                MessageSent(
                    conversationId: conversation.id, messageId: id, channel: conversation.connection,
                    author: "manager", text: text, state: "sent", responseSeconds: seconds, by: name),
                in: transaction)
        }
        conversation.save(in: transaction)
    }

    static func release(
        by name: String, cause: ID?, _ conversation: inout Conversation,
        in transaction: EventTransaction
    ) async throws {
        guard conversation.heldBy != nil else { return }
        if let cause { conversation.lastEvent = cause }
        conversation.heldBy = nil
        try conversation.emit(
            ConversationHandedOver(
                conversationId: conversation.id, channel: conversation.connection, to: "bot", by: name),
            in: transaction)
        conversation.save(in: transaction)
    }

    /// What crm-core asks for, and what it tells of journeys.
    static func handlers(outgoing: Signal) -> [StreamName: EventHandlers] {
        var commands = EventHandlers()
        commands.on(ReplyRequested.self) { request, event, transaction in
            guard
                var conversation = try await Conversation.find(
                    request.conversationId, in: transaction)
            else { throw Parked("there is no conversation \(request.conversationId)") }
            try await say(
                request.text, id: request.replyId, by: request.by ?? "менеджер", cause: event.id,
                in: &conversation, transaction)
            transaction.afterCommit { outgoing.poke() }
        }
        commands.on(ReleaseRequested.self) { request, event, transaction in
            guard
                var conversation = try await Conversation.find(
                    request.conversationId, in: transaction)
            else { throw Parked("there is no conversation \(request.conversationId)") }
            try await release(
                by: request.by ?? "менеджер", cause: event.id, &conversation, in: transaction)
        }
        var facts = EventHandlers()
        facts.on(JourneyClosed.self) { closed, _, transaction in
            try await transaction.query(
                "UPDATE conversation SET journey_open = false WHERE journey_id = $1",
                [.id(closed.journeyId)])
        }
        return [
            StreamName(publisher: "crm-core", stream: "cmd.bot-gateway"): commands,
            StreamName(publisher: "crm-core"): facts,
        ]
    }
}
