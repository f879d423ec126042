import Primitives

/// How something stands now, said for those who have lost its history: the data of the message that would tell it.
public struct StateSnapshot: EventContract {
    public static let type = "crm.state.snapshot.v1"
    /// The last number of the stream when the restating began: what is later comes after it.
    public let asOf: Int64
    /// The message's type, `crm.deal.won.v1`.
    public let says: String
    /// When it happened.
    public let at: Timestamp
    public let journeyId: ID?
    public let data: RawJSON

    public init(asOf: Int64, says: String, at: Timestamp, journeyId: ID?, data: RawJSON) {
        self.asOf = asOf
        self.says = says
        self.at = at
        self.journeyId = journeyId
        self.data = data
    }
}
