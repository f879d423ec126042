import Contracts
import Messaging
import Postgres
import Primitives
import Sodium

/// A counterparty's card as a system has it.
struct ClientCard: Sendable, Equatable {
    let onecId, name: String
    var fullName, inn, kpp: String?
    var isDeleted = false
    /// What it was before, by its own history; nil when that was not told, empty when there is none.
    var history: [FormerValue]?
    /// Who wrote it there last and when, where the system tells that.
    var changedBy: String?

    /// Values of a history that are kept: the newest.
    static let historyLimit = 50

    /// Characters of an id and of a name that are kept.
    static let idLimit = 100
    static let nameLimit = 1000

    /// Nil when it has no id or no name, or an id that is too long to be one.
    init?(
        onecId: String?, name: String?, fullName: String? = nil, inn: String? = nil, kpp: String? = nil,
        isDeleted: Bool = false, history: [FormerValue]? = nil
    ) {
        guard let onecId = onecId?.withoutNUL.trimmed.nonEmpty, onecId.count <= Self.idLimit,
            let name = name?.withoutNUL.trimmed.nonEmpty ?? fullName?.withoutNUL.trimmed.nonEmpty
        else { return nil }
        self.onecId = onecId
        self.name = String(name.prefix(Self.nameLimit))
        self.fullName = fullName?.withoutNUL.trimmed.nonEmpty.map { String($0.prefix(Self.nameLimit)) }
        (self.inn, self.kpp) = (Self.code(inn), Self.code(kpp))
        self.isDeleted = isDeleted
        self.history = history.map { values in
            Array(values.suffix(Self.historyLimit)).map {
                FormerValue(field: $0.field, value: String($0.value.withoutNUL.prefix(Self.nameLimit)), since: $0.since)
            }
        }
    }

    /// A tax number as it is written there; what is far too long for one is none.
    private static func code(_ text: String?) -> String? {
        text?.withoutNUL.trimmed.nonEmpty.flatMap { $0.count <= 50 ? $0 : nil }
    }
}

/// Copies of the systems' cards, by base and the system's id; what is new about one is said to the CRM, which decides whose it is.
enum ClientCards {
    /// - Parameter client: ours, when the card came with an order of his.
    /// - Returns: whether it was news.
    @discardableResult
    static func learn(
        _ card: ClientCard, _ base: String, client: ID? = nil, _ exchange: ID, in transaction: EventTransaction
    ) async throws -> Bool {
        let changed = try await transaction.query(
            """
            INSERT INTO counterparty_card AS c (base, onec_id, name, full_name, inn, kpp, is_deleted, exchange_id, history)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb)
            ON CONFLICT (base, onec_id) DO UPDATE SET name = excluded.name, full_name = excluded.full_name,
                inn = excluded.inn, kpp = excluded.kpp, is_deleted = excluded.is_deleted,
                exchange_id = excluded.exchange_id, as_of = now(),
                -- A card that a document names comes without it.
                history = coalesce(excluded.history, c.history)
            WHERE (c.name, c.full_name, c.inn, c.kpp, c.is_deleted, c.history)
                IS DISTINCT FROM (excluded.name, excluded.full_name, excluded.inn, excluded.kpp, excluded.is_deleted,
                    coalesce(excluded.history, c.history))
            RETURNING history::text AS history
            """,
            [
                .text(base), .text(card.onecId), .text(card.name), .text(card.fullName), .text(card.inn),
                .text(card.kpp), .bool(card.isDeleted), .id(exchange),
                .text(try card.history.map { try JSON.text($0) }),
            ]
        ).first
        // Linked after it is known: a link that is new says the card.
        if let client { try await CounterpartyLinks.link(base, client, card.onecId, rule: "order", in: transaction) }
        guard let changed else { return false }
        let history = try changed.optionalString("history").map { try JSON.decode([FormerValue].self, from: $0.utf8) }
        let link = try await transaction.query(
            "SELECT client_id FROM counterparty_link WHERE base = $1 AND onec_id = $2",
            [.text(base), .text(card.onecId)]
        ).first?.id("client_id")
        try transaction.emit(
            CounterpartyReported(
                base: base, onecId: card.onecId, name: card.name, fullName: card.fullName, inn: card.inn, kpp: card.kpp,
                deleted: card.isDeleted, clientId: link, exchangeId: exchange, history: history,
                by: (["1С \(base)"] + [card.changedBy].compactMap { $0 }).joined(separator: ", ")),
            key: "card:\(base):\(card.onecId)", correlation: nil, causation: nil)
        return true
    }

    /// Many cards, of which those that are known cost nothing.
    ///
    /// - Returns: of how many there was news.
    static func learn(_ cards: [ClientCard], _ base: String, _ exchange: ID, _ bus: EventBus) async throws -> Int {
        var news = 0
        for some in cards.parts(of: cardsAtOnce) {
            news += try await bus.transaction { transaction in
                var news = 0
                for card in some where try await learn(card, base, exchange, in: transaction) { news += 1 }
                return news
            }
        }
        return news
    }

    private static let cardsAtOnce = 200

    /// Those of the cards that say something else than before, and since when that may be: the last time that all cards were read they did not.
    static func changed(_ cards: [ClientCard], _ base: String, in pool: PostgresPool) async throws
        -> [(onecId: String, since: Timestamp)]
    {
        try await pool.query(
            """
            SELECT c.onec_id, greatest(c.as_of, s.clients_read_at - interval '1 hour') AS since FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
                AS n (onec_id, name, full_name, inn, kpp, is_deleted)
            JOIN counterparty_card c ON c.base = $1 AND c.onec_id = n.onec_id LEFT JOIN base_state s ON s.base = $1
            WHERE (c.name, c.full_name, c.inn, c.kpp, c.is_deleted)
                IS DISTINCT FROM (n.name, n.full_name, n.inn, n.kpp, n.is_deleted::boolean)
            """,
            [
                .text(base), .texts(cards.map(\.onecId)), .texts(cards.map(\.name)), .texts(cards.map(\.fullName)),
                .texts(cards.map(\.inn)), .texts(cards.map(\.kpp)), .texts(cards.map { "\($0.isDeleted)" }),
            ]
        ).map { (onecId: try $0.string("onec_id"), since: try $0.time("since")) }
    }

    /// What the CRM decides about whose a card is.
    static func take(in handlers: inout EventHandlers) {
        handlers.on(ClientLinkChanged.self) { change, event, transaction in
            try await CounterpartyLinks.lock(change.base, in: transaction)
            let before = try await transaction.query(
                "DELETE FROM counterparty_link WHERE base = $1 AND (onec_id = $2 OR client_id = $3) RETURNING client_id, onec_id",
                [.text(change.base), .text(change.onecId), .id(change.clientId)])
            try await OrderBirths.relink(
                change.base, card: change.onecId, client: change.clientId, in: transaction)
            guard let client = change.clientId else {
                for row in before {
                    try await transaction.query(
                        """
                        INSERT INTO counterparty_unlinked (base, client_id, onec_id) VALUES ($1, $2, $3)
                        ON CONFLICT DO NOTHING
                        """, [.text(change.base), .id(try row.id("client_id")), .text(try row.string("onec_id"))])
                }
                return
            }
            try await transaction.run([
                Statement(
                    "DELETE FROM counterparty_unlinked WHERE base = $1 AND client_id = $2 AND onec_id = $3",
                    [.text(change.base), .id(client), .text(change.onecId)]),
                Statement(
                    """
                    INSERT INTO counterparty_link (base, client_id, onec_id, rule, by_whom) VALUES ($1, $2, $3, $4, $5)
                    """,
                    [.text(change.base), .id(client), .text(change.onecId), .text(change.rule), .text(change.by)]),
            ])
        }
    }
}

/// Some of a system's cards.
struct ClientPage: Sendable {
    let cards: [ClientCard]
    /// Where the next page begins; nil at the end.
    let next: String?
    let exchange: ID
}
