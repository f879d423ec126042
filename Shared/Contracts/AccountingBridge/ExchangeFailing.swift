import Primitives

/// The exchange with a base does not work; said once per cause.
public struct ExchangeFailing: EventContract {
    public static let type = "onec.exchange.failing.v1"
    public let base: String
    public let cause: String
    public let causeId: ID
    public let since: Timestamp

    public init(
        base: String, cause: String, causeId: ID, since: Timestamp
    ) {
        self.base = base
        self.cause = cause
        self.causeId = causeId
        self.since = since
    }
}
