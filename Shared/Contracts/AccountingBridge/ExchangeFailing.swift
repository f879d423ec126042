import Primitives

/// The exchange with a base does not work; said once per cause.
public struct ExchangeFailing: EventContract {
    public static let type = "onec.exchange.failing.v1"
    public let base: String
    public let cause: String
    public let causeId: ID
    public let since: Timestamp
    /// What does not work: `connection`, `orders`, `refusals`, `documents` …; nil from before it was told.
    public let kind: String?

    public init(
        base: String, cause: String, causeId: ID, since: Timestamp, kind: String?
    ) {
        self.base = base
        self.cause = cause
        self.causeId = causeId
        self.since = since
        self.kind = kind
    }
}
