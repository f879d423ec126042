import Primitives

/// A reply left, failed for good, or left with an unknown outcome.
public struct MessageSent: EventContract {
    public static let type = "bot.message.sent.v1"
    public let conversationId: ID
    public let messageId: ID
    public let channel: String
    public let author: String
    public let text: String
    /// `sent`, `failed`, `unknown`.
    public let state: String
    public let reason: String?
    /// Seconds from the client's first unanswered message to this answer.
    public let responseSeconds: Double?
    public let by: String?

    public init(
        conversationId: ID, messageId: ID, channel: String, author: String, text: String,
        state: String, reason: String? = nil, responseSeconds: Double? = nil, by: String? = nil
    ) {
        self.conversationId = conversationId
        self.messageId = messageId
        self.channel = channel
        self.author = author
        self.text = text
        self.state = state
        self.reason = reason
        self.responseSeconds = responseSeconds
        self.by = by
    }
}
