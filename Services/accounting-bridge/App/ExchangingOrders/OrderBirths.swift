import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit
import XMLStream

/// Takes orders that were made in an accounting system itself. From then on they are told of as all others are; they are never given to it.
///
/// Only the base that an organization's orders are given to bears them: a base that keeps its books beside may have copies of them.
struct OrderBirths: Sendable {
    /// The company's: of an order that names none.
    let currency: Currency
    private let organizations: [String: [SuiteSettings.Organization]]
    private let refusing: Set<String>
    /// Bases that are asked for each order.
    private let asked: Set<String>

    init(_ settings: SuiteSettings) {
        currency = settings.company.currency
        let named = settings.organizations.filter { $0.base != nil }
        organizations = Dictionary(grouping: named) { $0.base ?? "" }
        refusing = Set(settings.bases.filter { !$0.takesBorn }.map(\.base))
        asked = Set(settings.bases.filter { $0.driver == .odata || $0.driver == .enterprisedata }.map(\.base))
    }

    /// Whether the base's own orders are wanted.
    func takes(from base: String) -> Bool { organizations[base] != nil && !refusing.contains(base) }

    /// What the order is called here; it is taken when it is new.
    ///
    /// - Returns: nil when it is of none of our organizations.
    func take(_ born: BornOrder, _ base: String, _ exchange: ID, in transaction: EventTransaction) async throws
        -> String?
    {
        let id = born.id(in: base)
        if let known = try await number(of: id, in: transaction) { return known }
        guard let organization = organization(of: born, in: base) else { return nil }
        // A file of it that somebody carries, and the base itself, may tell it at once.
        try await transaction.query(
            "SELECT pg_advisory_xact_lock(hashtextextended('born ' || $1, 0)) IS NULL AS locked",
            [.text(id.description)])
        if let known = try await number(of: id, in: transaction) { return known }
        let client = try await client(born, base, in: transaction)
        let name = try await freeName(born, base, in: transaction)
        let event = OrderBorn(
            orderId: id, number: name, base: base, organization: organization.code, onecId: born.key,
            onecNumber: born.number.map { String($0.prefix(OrderReport.numberLimit)) }, date: born.day,
            cardId: client.card, client: client.name, total: born.total,
            lines: Array(born.lines.prefix(BornOrder.lineLimit)), exchangeId: exchange, by: "1С \(base)")
        let terms = OrderTerms(
            organization: organization.code, currency: born.total.currency, total: born.total,
            counterparty: .init(id: client.id ?? id, name: client.name ?? "", inn: client.inn, kpp: client.kpp))
        let said = try transaction.emit(event, key: id.description, correlation: nil, causation: nil)
        try await transaction.query(
            """
            INSERT INTO order_out (id, number, base, request, origin, state, requested_at, sent_at, last_event, match_again, onec_id, onec_number, ask_at)
            VALUES ($1, $2, $3, $4::jsonb, 'onec', 'sent', coalesce($5::timestamptz, now()), now(), $6, true, $7, $8,
                CASE WHEN $9 THEN now() END)
            """,
            [
                .id(id), .text(name), .text(base), .text(try JSON.text(terms)), .text(born.day),
                .id(said), .text(born.key), .text(event.onecNumber), .bool(asked.contains(base)),
            ])
        return name
    }

    private func number(of id: ID, in transaction: EventTransaction) async throws -> String? {
        try await transaction.query("SELECT number FROM order_out WHERE id = $1", [.id(id)]).first?.string("number")
    }

    /// Those of some ids that are known by now.
    func known(_ ids: [ID], in runner: some StatementRunner) async throws -> Set<ID> {
        Set(
            try await runner.query(
                """
                SELECT id FROM order_out WHERE id = ANY($1::uuid[])
                UNION SELECT k.id FROM unnest($1::uuid[]) AS k (id) JOIN order_out o ON o.onec_id = k.id::text
                """, [.ids(ids)]
            ).map { try $0.id("id") })
    }

    private struct Client {
        var card, name, inn, kpp: String?
        /// Ours, when the card is linked; else the card's own.
        var id: ID?
    }

    private func client(_ born: BornOrder, _ base: String, in transaction: EventTransaction) async throws -> Client {
        guard let card = born.client?.onecId ?? born.cardId else { return Client() }
        let known = try await transaction.query(
            """
            SELECT c.name, c.inn, c.kpp, l.client_id FROM (SELECT $1::text AS base, $2::text AS onec_id) AS k
            LEFT JOIN counterparty_card c USING (base, onec_id) LEFT JOIN counterparty_link l USING (base, onec_id)
            """, [.text(base), .text(card)])[0]
        return Client(
            card: card, name: try born.client?.name ?? known.optionalString("name"),
            inn: try born.client?.inn ?? known.optionalString("inn"),
            kpp: try born.client?.kpp ?? known.optionalString("kpp"),
            id: try known.optionalID("client_id") ?? ID(card))
    }

    private func organization(of born: BornOrder, in base: String) -> SuiteSettings.Organization? {
        let own = organizations[base] ?? []
        guard let inn = born.organizationINN else { return own.first }
        return own.first { $0.inn == inn }
    }

    private func freeName(_ born: BornOrder, _ base: String, in transaction: EventTransaction) async throws -> String {
        let name = born.name(in: base, isTaken: false)
        let isTaken = try await !transaction.query(
            "SELECT 1 AS one FROM order_out WHERE number = $1", [.text(name)]
        ).isEmpty
        return isTaken ? born.name(in: base, isTaken: true) : name
    }
}
