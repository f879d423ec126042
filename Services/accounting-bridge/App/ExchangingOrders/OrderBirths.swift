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
    private let authority: BookAuthority
    private let refusing: Set<String>
    /// Bases that are asked for each order.
    private let asked: Set<String>

    init(_ settings: SuiteSettings) {
        currency = settings.company.currency
        let named = settings.organizations.filter { $0.base != nil }
        organizations = Dictionary(grouping: named) { $0.base ?? "" }
        authority = BookAuthority(settings.organizations)
        refusing = Set(settings.bases.filter { !$0.takesBorn }.map(\.base))
        asked = Set(settings.bases.filter { $0.driver == .odata || $0.driver == .enterprisedata }.map(\.base))
    }

    /// Whether the base's own orders are wanted.
    func takes(from base: String) -> Bool { organizations[base] != nil && !refusing.contains(base) }

    // MARK: many

    /// What keeps one of many from being taken, and the number that its base has for it.
    struct Trouble: Sendable {
        let number: String?
        let words: String
    }

    /// Orders of one transaction: nobody waits long for the rows of the base.
    private static let ordersAtOnce = 50

    /// Takes those that are new. What cannot be kept stands aside by itself, under the base's number of it, and holds up none of the others.
    ///
    /// - Parameters:
    ///   - subject: of what was told, as the system calls it.
    ///   - troubles: orders that could not even be read.
    /// - Returns: how many were taken.
    func take(
        _ orders: [BornOrder], troubles: [Trouble] = [], _ base: String, _ exchange: ID, named subject: String,
        _ bus: EventBus
    ) async throws -> Int {
        var count = 0
        for some in orders.parts(of: Self.ordersAtOnce) {
            do { count += try await take(some, base, exchange, bus) } catch let error where Self.isOwnFault(error) {
                for one in some {
                    do { count += try await take([one], base, exchange, bus) } catch let error
                        where Self.isOwnFault(error)
                    {
                        let words = (error as? XMLRefusal)?.reason ?? "ошибка на нашей стороне: \(error)"
                        try await park(.init(number: one.number, words: words), base, exchange, subject, bus)
                    }
                }
            }
        }
        for trouble in troubles { try await park(trouble, base, exchange, subject, bus) }
        return count
    }

    private static func isOwnFault(_ error: any Error) -> Bool {
        (error as? PostgresError)?.isTransient != true && !(error is CancellationError)
    }

    private func take(_ orders: [BornOrder], _ base: String, _ exchange: ID, _ bus: EventBus) async throws -> Int {
        try await bus.transaction { transaction in
            var count = 0
            for one in orders {
                if let card = one.client { try await ClientCards.learn(card, base, exchange, in: transaction) }
                guard try await take(one, base, exchange, in: transaction) != nil else { continue }
                count += 1
                try await transaction.query(
                    """
                    UPDATE parked_document SET settled_at = now(), settled_by = '1С прислала заново'
                    WHERE base = $1 AND number = $2 AND settled_at IS NULL AND exchange_id < $3
                    """, [.text(base), .text(one.number?.withoutNUL), .id(exchange)])
            }
            return count
        }
    }

    private func park(_ trouble: Trouble, _ base: String, _ exchange: ID, _ subject: String, _ bus: EventBus)
        async throws
    {
        try await bus.transaction { transaction in
            try await ReportReader.park(
                base, exchange, subject,
                number: trouble.number.map { String($0.withoutNUL.prefix(OrderReport.numberLimit)) },
                "заказ, сделанный в 1С: \(trouble.words)", in: transaction)
        }
    }

    // MARK: one

    /// What the order is called here; it is taken when it is new and its base's own orders are wanted.
    ///
    /// - Returns: nil when it is not taken: it is not wanted, or of none of our organizations.
    /// - Throws: `XMLRefusal` when nobody can say whose it is.
    func take(_ born: BornOrder, _ base: String, _ exchange: ID, in transaction: EventTransaction) async throws
        -> String?
    {
        let id = born.id(in: base)
        if let known = try await number(of: id, born.key, base, in: transaction) { return known }
        guard takes(from: base), let organization = try organization(of: born, in: base) else { return nil }
        // A file of it that somebody carries, and the base itself, may tell it at once.
        try await transaction.query(
            "SELECT pg_advisory_xact_lock(hashtextextended('born ' || $1, 0)) IS NULL AS locked",
            [.text(id.description)])
        if let known = try await number(of: id, born.key, base, in: transaction) { return known }
        let client = try await client(born, base, in: transaction)
        let name = try await freeName(born, base, in: transaction)
        let event = OrderBorn(
            orderId: id, number: name, base: base, organization: organization.code, onecId: born.key,
            onecNumber: born.number.map { String($0.withoutNUL.prefix(OrderReport.numberLimit)) }, date: born.day,
            cardId: client.card, client: client.name, total: born.total, lines: born.fittingLines, exchangeId: exchange,
            by: "1С \(base)")
        let terms = OrderTerms(
            organization: organization.code, currency: born.total.currency, total: born.total,
            counterparty: .init(
                id: client.id ?? id, name: client.name ?? "", inn: client.inn, kpp: client.kpp, card: client.card))
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
        // Bases that keep its books beside are asked for it as for any other; what they, or its own, have told by its key before is its.
        try await OrderReports.expect(of: authority.others(organization.code, order: base), id, in: transaction)
        try await OrderReports.link(id, knownAs: born.key, in: transaction)
        return name
    }

    private func number(of id: ID, _ key: String, _ base: String, in transaction: EventTransaction) async throws
        -> String?
    {
        // One of ours may have this key there, whatever number stands on it now.
        try await transaction.query(
            "SELECT number FROM order_out WHERE id = $1 OR (onec_id = $2 AND base = $3) ORDER BY (id = $1) DESC LIMIT 1",
            [.id(id), .text(key), .text(base)]
        ).first?.string("number")
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

    /// A card is linked, or linked otherwise: whose payments are remembered for its client are remembered for its orders.
    static func relink(_ base: String, card: String, client: ID?, in transaction: EventTransaction) async throws {
        try await transaction.query(
            """
            UPDATE order_out SET request = jsonb_set(request, '{counterparty,id}', to_jsonb(coalesce($3::text, id::text))), match_again = true
            WHERE origin = 'onec' AND base = $1 AND request #>> '{counterparty,card}' = $2
            """, [.text(base), .text(card), .text((client ?? ID(card))?.description)])
    }

    private func organization(of born: BornOrder, in base: String) throws -> SuiteSettings.Organization? {
        let own = organizations[base] ?? []
        guard let word = born.organization else {
            guard own.count < 2 else {
                throw XMLRefusal(
                    reason: "не сказано, какой организации заказ \(born.number ?? "без номера"): в базе их несколько",
                    isIncomplete: false)
            }
            return own.first
        }
        return own.first { $0.inn == word || $0.code == word }
    }

    private func freeName(_ born: BornOrder, _ base: String, in transaction: EventTransaction) async throws -> String {
        let name = born.name(in: base, isTaken: false)
        let isTaken = try await !transaction.query(
            "SELECT 1 AS one FROM order_out WHERE number = $1", [.text(name)]
        ).isEmpty
        return isTaken ? born.name(in: base, isTaken: true) : name
    }
}
