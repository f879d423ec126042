import Primitives

/// Nothing more is expected on this journey: the client's next word opens another.
public struct JourneyClosed: EventContract {
    public static let type = "crm.journey.closed.v1"
    public let journeyId: ID
    public let reason: String

    public init(
        journeyId: ID, reason: String
    ) {
        self.journeyId = journeyId
        self.reason = reason
    }
}
