import Postgres
import Primitives

/// Which card of a base is which client of ours: one to one, and for good (rules 2 and 3 of the domain).
struct CounterpartyLinks: Sendable {
    let pool: PostgresPool
    let base: String

    func find(_ client: ID) async throws -> String? {
        try await pool.query(
            "SELECT onec_id FROM counterparty_link WHERE base = $1 AND client_id = $2", [.text(base), .id(client)]
        ).first?.string("onec_id")
    }

    /// Keeps the link; the card that the client has from now on.
    ///
    /// - Parameter rule: by what it was found: `inn`, `inn+kpp`, `made`, `person`.
    /// - Throws: ``DriverFailure/refused(_:)`` when the card is another client's.
    func keep(_ client: ID, _ card: String, rule: String, by: String? = nil) async throws -> String {
        try await pool.query(
            """
            INSERT INTO counterparty_link (base, client_id, onec_id, rule, by_whom) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT DO NOTHING
            """, [.text(base), .id(client), .text(card), .text(rule), .text(by)])
        guard let kept = try await find(client) else {
            throw DriverFailure.refused("карточка контрагента в 1С (\(card)) уже связана с другим клиентом")
        }
        return kept
    }
}
