import Primitives

/// What is kept of every order, whether it was asked for (then it stands within the whole request) or made in the system itself.
struct OrderTerms: Codable, Sendable {
    struct Client: Codable, Sendable {
        /// Ours; of an order that was made in the system and whose client nobody knows, that of his card.
        let id: ID
        let name: String
        let inn, kpp: String?
        /// The card of an order that was made in the system.
        var card: String?
    }
    let organization: String
    let currency: Currency
    let total: Money
    let counterparty: Client
}
