import Primitives

/// Somebody outside said something; author is client, bot or manager.
public struct MessageReceived: EventContract {
    public static let type = "bot.message.received.v1"
    public let conversationId: ID
    public let messageId: ID
    public let channel: String
    public let author: String
    public let sender: Sender?
    public let text: String
    public let sentAt: Timestamp
    public let attribution: Attribution?
    public let externalOrderNumber: String?
    /// How many files or media came with it.
    public let attachments: Int
    /// The questionnaire's step that it answers: then it is no request of its own.
    public let question: String?
    public let by: String?

    public init(
        conversationId: ID, messageId: ID, channel: String, author: String,
        sender: Sender? = nil, text: String, sentAt: Timestamp, attribution: Attribution? = nil,
        externalOrderNumber: String? = nil, attachments: Int, question: String? = nil,
        by: String? = nil
    ) {
        self.conversationId = conversationId
        self.messageId = messageId
        self.channel = channel
        self.author = author
        self.sender = sender
        self.text = text
        self.sentAt = sentAt
        self.attribution = attribution
        self.externalOrderNumber = externalOrderNumber
        self.attachments = attachments
        self.question = question
        self.by = by
    }
}
