import Primitives

/// Command to the gateway: give the talk back to the bot.
public struct ReleaseRequested: EventContract {
    public static let type = "crm.conversation.release_requested.v1"
    public let conversationId: ID
    public let by: String?

    public init(
        conversationId: ID, by: String? = nil
    ) {
        self.conversationId = conversationId
        self.by = by
    }
}
