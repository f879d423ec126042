import Primitives

/// The exchange with a base works again.
public struct ExchangeRecovered: EventContract {
    public static let type = "onec.exchange.recovered.v1"
    public let base: String
    public let causeId: ID
    public let by: String?

    public init(
        base: String, causeId: ID, by: String? = nil
    ) {
        self.base = base
        self.causeId = causeId
        self.by = by
    }
}
