import Contracts
import Primitives

/// What we understand of a Telegram update; the whole of it is kept as it came. Field names are Telegram's
/// (core.telegram.org/bots/api#update).
struct TelegramUpdate: Decodable, Sendable {
    let updateID: Int64
    let message: Message?
    let callbackQuery: CallbackQuery?
    let myChatMember: ChatMemberUpdated?

    enum CodingKeys: String, CodingKey {
        case updateID = "update_id"
        case message
        case callbackQuery = "callback_query"
        case myChatMember = "my_chat_member"
    }

    struct User: Decodable, Sendable {
        let id: Int64
        let isBot: Bool?
        let firstName: String?
        let lastName: String?
        let username: String?

        enum CodingKeys: String, CodingKey {
            case id, username
            case isBot = "is_bot"
            case firstName = "first_name"
            case lastName = "last_name"
        }

        var name: String? {
            let words = [firstName, lastName].compactMap { $0 }.filter { !$0.isEmpty }
            return words.isEmpty ? username : words.joined(separator: " ")
        }
    }

    struct Chat: Decodable, Sendable {
        let id: Int64
        let type: String
    }

    struct Contact: Decodable, Sendable {
        let phoneNumber: String
        let userID: Int64?

        enum CodingKeys: String, CodingKey {
            case phoneNumber = "phone_number"
            case userID = "user_id"
        }
    }

    struct Message: Decodable, Sendable {
        let messageID: Int64
        let from: User?
        let chat: Chat
        let at: Timestamp
        let text: String?
        let caption: String?
        let contact: Contact?
        let media: String?

        enum CodingKeys: String, CodingKey, CaseIterable {
            case messageID = "message_id"
            case from, chat, date, text, caption, contact
            case photo, document, voice, video, audio, sticker, location, venue, animation, poll
            case videoNote = "video_note"
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            messageID = try container.decode(Int64.self, forKey: .messageID)
            from = try container.decodeIfPresent(User.self, forKey: .from)
            chat = try container.decode(Chat.self, forKey: .chat)
            // Seconds; a year that has five digits is none that can be said or stored.
            let date = try container.decode(Int64.self, forKey: .date)
            guard (0..<253_402_300_800).contains(date) else {
                throw DecodingError.dataCorruptedError(
                    forKey: .date, in: container, debugDescription: "no time of ours")
            }
            at = Timestamp(milliseconds: date * 1000)
            text = try container.decodeIfPresent(String.self, forKey: .text)
            caption = try container.decodeIfPresent(String.self, forKey: .caption)
            contact = try container.decodeIfPresent(Contact.self, forKey: .contact)
            let kinds: [(CodingKeys, String)] = [
                (.photo, "фото"), (.document, "документ"), (.voice, "голосовое сообщение"),
                (.video, "видео"), (.audio, "аудио"), (.sticker, "стикер"), (.videoNote, "видео"),
                (.animation, "анимация"), (.venue, "место"), (.location, "место"), (.poll, "опрос"),
            ]
            media = kinds.first { container.contains($0.0) }?.1
        }

        /// What was said, with media named, as a person reads it.
        var words: String {
            if let text { return text }
            if let contact { return contact.phoneNumber }
            return [media.map { "[\($0)]" }, caption].compactMap { $0 }.joined(separator: " ")
        }

        /// The platform vouches for a number only when the sender shared his own card.
        var ownPhone: Phone? {
            guard let contact, let user = contact.userID, user == from?.id else { return nil }
            return Phone(contact.phoneNumber)
        }
    }

    struct CallbackQuery: Decodable, Sendable {
        let id: String
        let from: User
        let message: Message?
        let data: String?
    }

    struct ChatMemberUpdated: Decodable, Sendable {
        let chat: Chat
    }

    /// The id alone, for deduplication: all that is read before the update is durable.
    struct Envelope: Decodable {
        let updateID: Int64
        enum CodingKeys: String, CodingKey { case updateID = "update_id" }
    }
}
