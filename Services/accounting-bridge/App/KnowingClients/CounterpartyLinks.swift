import Contracts
import Messaging
import Postgres
import Primitives

/// Which card of a base is which client of ours: one to one, and for good (rules 2 and 3 of the domain).
struct CounterpartyLinks: Sendable {
    let bus: EventBus
    let base: String

    /// - Throws: ``DriverFailure/refused(_:)`` when the card is marked for deletion there.
    func find(_ client: ID) async throws -> String? {
        let row = try await bus.pool.query(
            """
            SELECT l.onec_id, coalesce(c.is_deleted, false) AS is_deleted FROM counterparty_link l
            LEFT JOIN counterparty_card c ON c.base = l.base AND c.onec_id = l.onec_id
            WHERE l.base = $1 AND l.client_id = $2
            """, [.text(base), .id(client)]
        ).first
        guard let row else { return nil }
        guard try !row.bool("is_deleted") else {
            throw DriverFailure.refused("карточка клиента в 1С помечена на удаление: свяжите клиента с другой")
        }
        return try row.string("onec_id")
    }

    /// The client's card as the base writes it; nil while it is not known.
    ///
    /// - Throws: ``DriverFailure/refused(_:)`` when the card is marked for deletion there.
    func card(_ client: ID) async throws -> (id: String, name: String, fullName: String?)? {
        guard let id = try await find(client) else { return nil }
        return try await bus.pool.query(
            "SELECT name, full_name FROM counterparty_card WHERE base = $1 AND onec_id = $2", [.text(base), .text(id)]
        ).first.map { (id, try $0.string("name"), try $0.optionalString("full_name")) }
    }

    /// Keeps the link, and says it; the card that the client has from now on.
    ///
    /// - Parameter rule: by what it was found: `inn`, `inn+kpp`, `made`.
    /// - Throws: ``DriverFailure/refused(_:)`` when the card is another client's, or a person has undone this link.
    func keep(_ client: ID, _ card: String, rule: String) async throws -> String {
        try await bus.transaction { [base] transaction in
            try await Self.link(base, client, card, rule: rule, in: transaction)
        }
        guard let kept = try await find(client) else {
            throw DriverFailure.refused(
                "карточка контрагента в 1С (\(card)) связана с другим клиентом, или связь снял человек: решите на странице «Клиенты 1С»"
            )
        }
        return kept
    }

    /// Links of a base change one after another: a person's word and an order's may come at once.
    static func lock(_ base: String, in transaction: EventTransaction) async throws {
        try await transaction.query(
            "SELECT pg_advisory_xact_lock(hashtextextended('counterparty_link ' || $1, 0)) IS NULL AS locked",
            [.text(base)])
    }

    /// Links a card that came with a client, unless either has another or a person has undone it; the CRM hears of it.
    static func link(_ base: String, _ client: ID, _ card: String, rule: String, in transaction: EventTransaction)
        async throws
    {
        try await lock(base, in: transaction)
        let added = try await transaction.query(
            """
            INSERT INTO counterparty_link (base, client_id, onec_id, rule) SELECT $1, $2, $3, $4
            WHERE NOT EXISTS (SELECT 1 FROM counterparty_unlinked WHERE base = $1 AND client_id = $2 AND onec_id = $3)
            ON CONFLICT DO NOTHING
            """, [.text(base), .id(client), .text(card), .text(rule)]
        ).affected
        guard added == 1 else { return }
        try await OrderBirths.relink(base, card: card, client: client, in: transaction)
        let row = try await transaction.query(
            """
            SELECT name, full_name, inn, kpp, is_deleted, exchange_id, history::text AS history FROM counterparty_card WHERE base = $1 AND onec_id = $2
            """, [.text(base), .text(card)]
        ).first
        // A card that was not read yet is told with its link when it is.
        guard let row else { return }
        try transaction.emit(
            CounterpartyReported(
                base: base, onecId: card, name: try row.string("name"), fullName: try row.optionalString("full_name"),
                inn: try row.optionalString("inn"), kpp: try row.optionalString("kpp"),
                deleted: try row.bool("is_deleted"), clientId: client, exchangeId: try row.id("exchange_id"),
                history: try row.optionalString("history").map { try JSON.decode([FormerValue].self, from: $0.utf8) },
                by: "1С \(base)"),
            key: "card:\(base):\(card)", correlation: nil, causation: nil)
    }
}
