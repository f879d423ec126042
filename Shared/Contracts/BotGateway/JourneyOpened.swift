import Primitives

/// A request has begun: no journey was open for this talk.
public struct JourneyOpened: EventContract {
    public static let type = "bot.journey.opened.v1"
    public let journeyId: ID
    public let conversationId: ID
    public let channel: String
    public let attribution: Attribution?
    public let by: String?

    public init(
        journeyId: ID, conversationId: ID, channel: String, attribution: Attribution? = nil,
        by: String? = nil
    ) {
        self.journeyId = journeyId
        self.conversationId = conversationId
        self.channel = channel
        self.attribution = attribution
        self.by = by
    }
}
