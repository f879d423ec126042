import Primitives

/// Command to the gateway: say this to the client in a manager's name.
public struct ReplyRequested: EventContract {
    public static let type = "crm.reply.requested.v1"
    public let conversationId: ID
    public let replyId: ID
    public let text: String
    public let userId: ID
    public let by: String?

    public init(
        conversationId: ID, replyId: ID, text: String, userId: ID, by: String? = nil
    ) {
        self.conversationId = conversationId
        self.replyId = replyId
        self.text = text
        self.userId = userId
        self.by = by
    }
}
