import Contracts
import Messaging
import Postgres
import Primitives

/// Replies wait here until they have left.
enum Outbox {
    enum Content: Sendable {
        case message(String, FlowTalk.Keyboard)
        /// Ends the spinner on a pressed button.
        case callbackAnswer(String)
    }

    static let consentData = "consent"

    static func add(
        _ content: Content, id: ID = .make(), author: String, by: String?, to conversation: Conversation,
        in transaction: EventTransaction
    ) throws {
        let (method, payload, text) = try telegram(content, chat: conversation.externalID)
        transaction.write(
            """
            INSERT INTO outbox (id, connection, chat, conversation_id, method, payload, author, text,
                cause, correlation, by_whom, waiting_since)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
            ON CONFLICT (id) DO NOTHING
            """,
            [
                .id(id), .text(conversation.connection), .text(conversation.externalID),
                .id(conversation.id), .text(method), .bytes(payload), .text(author),
                .text(text), .id(conversation.lastEvent), .id(conversation.journeyID), .text(by),
                .time(author == "bot" ? conversation.heardAt : conversation.waitingSince),
            ])
    }

    /// The Bot API call for what is to be said.
    private static func telegram(_ content: Content, chat: String) throws
        -> (method: String, payload: [UInt8], text: String)
    {
        switch content {
        case .callbackAnswer(let id):
            let body = RawJSON.object(["callback_query_id": .string(id)])
            return ("answerCallbackQuery", Array(try JSON.encode(body)), "")
        case .message(let text, let keyboard):
            var fields: [String: RawJSON] = [
                "chat_id": Int64(chat).map { .int($0) } ?? .string(chat), "text": .string(text),
            ]
            switch keyboard {
            case .none: fields["reply_markup"] = .object(["remove_keyboard": .bool(true)])
            case .consent(let label):
                fields["reply_markup"] = .object([
                    "inline_keyboard": .array([
                        .array([
                            .object([
                                "text": .string(label), "callback_data": .string(consentData),
                            ])
                        ])
                    ])
                ])
            case .phone(let label):
                fields["reply_markup"] = .object([
                    "keyboard": .array([
                        .array([
                            .object(["text": .string(label), "request_contact": .bool(true)])
                        ])
                    ]),
                    "resize_keyboard": .bool(true), "one_time_keyboard": .bool(true),
                ])
            }
            return ("sendMessage", Array(try JSON.encode(RawJSON.object(fields))), text)
        }
    }
}
