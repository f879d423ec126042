import Primitives

/// The client agreed to the processing of personal data; the text he saw is named by its digest.
public struct ConsentGiven: EventContract {
    public static let type = "bot.consent.given.v1"
    public let conversationId: ID
    public let channel: String
    /// `button` or `passive`, or what a form says.
    public let how: String
    public let textDigest: String
    public let by: String?

    public init(
        conversationId: ID, channel: String, how: String, textDigest: String, by: String? = nil
    ) {
        self.conversationId = conversationId
        self.channel = channel
        self.how = how
        self.textDigest = textDigest
        self.by = by
    }
}
