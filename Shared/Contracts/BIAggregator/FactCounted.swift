/// A fact stands in a metric: the figure in the report.
public struct FactCounted: EventContract {
    public static let type = "bi.fact.counted.v1"
    public let metric: String
    public let factKey: String
    public let value: String
    public let unit: String
    public let period: String

    public init(
        metric: String, factKey: String, value: String, unit: String, period: String
    ) {
        self.metric = metric
        self.factKey = factKey
        self.value = value
        self.unit = unit
        self.period = period
    }
}
