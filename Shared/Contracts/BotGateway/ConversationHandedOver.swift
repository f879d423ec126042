import Primitives

/// A person took the talk, or gave it back to the bot.
public struct ConversationHandedOver: EventContract {
    public static let type = "bot.conversation.handed_over.v1"
    public let conversationId: ID
    public let channel: String
    /// `manager` or `bot`.
    public let to: String
    public let by: String?

    public init(
        conversationId: ID, channel: String, to: String, by: String? = nil
    ) {
        self.conversationId = conversationId
        self.channel = channel
        self.to = to
        self.by = by
    }
}
