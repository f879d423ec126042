import Primitives

/// A counterparty's card as an accounting system told it: for the first time, or with something else than before.
public struct CounterpartyReported: EventContract {
    public static let type = "onec.counterparty.reported.v1"
    public let base: String
    /// The system's own id of the card.
    public let onecId: String
    public let name: String
    public let fullName, inn, kpp: String?
    /// Marked for deletion there.
    public let deleted: Bool
    /// Our client whose card it is, when the bridge has met it with an order of his.
    public let clientId: ID?
    public let exchangeId: ID
    /// What it was before, by its own history; nil when it tells none.
    public let history: [FormerValue]?
    public let by: String?

    public init(
        base: String, onecId: String, name: String, fullName: String? = nil, inn: String? = nil, kpp: String? = nil,
        deleted: Bool, clientId: ID? = nil, exchangeId: ID, history: [FormerValue]? = nil, by: String? = nil
    ) {
        self.history = history
        self.base = base
        self.onecId = onecId
        self.name = name
        self.fullName = fullName
        self.inn = inn
        self.kpp = kpp
        self.deleted = deleted
        self.clientId = clientId
        self.exchangeId = exchangeId
        self.by = by
    }
}

/// A value that a field of a card has had from a day on.
public struct FormerValue: Codable, Sendable, Hashable {
    /// `name`, `kpp`.
    public let field: String
    public let value: String
    public let since: String?

    public init(field: String, value: String, since: String?) {
        self.field = field
        self.value = value
        self.since = since
    }
}
