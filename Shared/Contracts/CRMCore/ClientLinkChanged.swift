import Primitives

/// Whose card a counterparty of an accounting system is, as the CRM has decided.
public struct ClientLinkChanged: EventContract {
    public static let type = "crm.client.link_changed.v1"
    public let base: String
    public let onecId: String
    /// Nil: nobody's.
    public let clientId: ID?
    /// By what it was decided: `inn+kpp`, `order`, `person`, `made`, `undone`.
    public let rule: String
    public let by: String?

    public init(base: String, onecId: String, clientId: ID?, rule: String, by: String? = nil) {
        self.base = base
        self.onecId = onecId
        self.clientId = clientId
        self.rule = rule
        self.by = by
    }
}
