import Primitives

/// An order was made in 1C itself. What becomes of it is told from then on as of any other (`onec.order.reported.v1`).
public struct OrderBorn: EventContract {
    public static let type = "onec.order.born.v1"
    public let orderId: ID
    /// What people call it here: 1C's number, the base and the year, for 1C begins anew each year. Never digits alone, which are numbers of ours.
    public let number: String
    public let base: String
    public let organization: String
    /// The base's own id and number of it.
    public let onecId: String
    public let onecNumber: String?
    /// The document's date, `2026-01-31`.
    public let date: String?
    /// The base's card of its client, and what stands on it.
    public let cardId: String?
    public let client: String?
    public let total: Money
    /// Empty where the exchange does not tell them.
    public let lines: [OrderLine]
    public let exchangeId: ID
    public let by: String?

    public init(
        orderId: ID, number: String, base: String, organization: String, onecId: String, onecNumber: String? = nil,
        date: String? = nil, cardId: String? = nil, client: String? = nil, total: Money, lines: [OrderLine],
        exchangeId: ID, by: String? = nil
    ) {
        self.orderId = orderId
        self.number = number
        self.base = base
        self.organization = organization
        self.onecId = onecId
        self.onecNumber = onecNumber
        self.date = date
        self.cardId = cardId
        self.client = client
        self.total = total
        self.lines = lines
        self.exchangeId = exchangeId
        self.by = by
    }
}
