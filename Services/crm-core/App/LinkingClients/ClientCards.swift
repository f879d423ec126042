import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit

/// Cards of counterparties as 1C tells them, and whose they are: by external id, else by INN and KPP; an ambiguous one is never linked by itself
/// (rule 2 of the domain). A rename is a new value of an attribute, never a new client (rule 3).
struct ClientCards: Sendable {
    static let kind = "counterparty"
    static func system(_ base: String) -> String { "1c/\(base)" }

    /// Clients that a card is proposed for at most.
    private static let candidateLimit = 10

    func handlers(_ handlers: inout EventHandlers) {
        handlers.on(CounterpartyReported.self) { try await reported($0, $1, in: $2) }
    }

    private func reported(_ card: CounterpartyReported, _ event: ReceivedEvent, in transaction: EventTransaction)
        async throws
    {
        let before = try await transaction.query(
            "SELECT name, inn, kpp, state, decided_by FROM onec_card WHERE base = $1 AND onec_id = $2 FOR UPDATE",
            [.text(card.base), .text(card.onecId)]
        ).first
        try await keep(card, event, in: transaction)
        if let linked = try await client(of: card, in: transaction) {
            return try await compare(card, linked, before, in: transaction)
        }
        // What a person has decided no rule decides anew.
        if let before, try before.optionalString("decided_by") != nil { return }
        if let client = card.clientId, try await ClientRecord.find(client, in: transaction) != nil {
            guard try await link(card.base, card.onecId, client, rule: "order", by: nil, tells: false, in: transaction)
            else {
                return try await wait(
                    card, "клиент этого заказа уже связан с другой карточкой базы", [client], in: transaction)
            }
            return try await compare(card, client, nil, in: transaction)
        }
        guard !card.deleted else {
            return try await wait(card, "помечен на удаление", [], state: "ignored", in: transaction)
        }
        try await match(card, in: transaction)
    }

    private func keep(_ card: CounterpartyReported, _ event: ReceivedEvent, in transaction: EventTransaction)
        async throws
    {
        try await transaction.query(
            """
            INSERT INTO onec_card (base, onec_id, name, full_name, inn, kpp, is_deleted, state, as_of, exchange_id, history)
            VALUES ($1, $2, $3, $4, $5, $6, $7, 'waiting', $8, $9, $10::jsonb)
            ON CONFLICT (base, onec_id) DO UPDATE SET name = excluded.name, full_name = excluded.full_name, inn = excluded.inn,
                kpp = excluded.kpp, is_deleted = excluded.is_deleted, as_of = excluded.as_of, exchange_id = excluded.exchange_id,
                -- Who tells none knows of none.
                history = CASE WHEN $11 THEN excluded.history ELSE onec_card.history END
            """,
            [
                .text(card.base), .text(card.onecId), .text(card.name), .text(card.fullName), .text(card.inn),
                .text(card.kpp),
                .bool(card.deleted), .time(event.at), .id(card.exchangeId), .text(try JSON.text(card.history ?? [])),
                .bool(card.history != nil),
            ])
    }

    private func client(of card: CounterpartyReported, in transaction: EventTransaction) async throws -> ID? {
        try await transaction.query(
            "SELECT client_id FROM external_id WHERE system = $1 AND kind = $2 AND external_id = $3",
            [.text(Self.system(card.base)), .text(Self.kind), .text(card.onecId)]
        ).first?.id("client_id")
    }

    private func match(_ card: CounterpartyReported, in transaction: EventTransaction) async throws {
        guard let inn = card.inn else {
            return try await wait(
                card, "у карточки нет ИНН: кто это, решает человек", try await namesakes(card, in: transaction),
                in: transaction)
        }
        let rows = try await transaction.query(
            """
            SELECT c.id, c.kpp IS NULL OR $2::text IS NULL OR c.kpp = $2 OR c.kpp = ANY($5::text[]) AS fits, EXISTS (SELECT 1 FROM external_id x WHERE x.client_id = c.id AND x.system = $3 AND x.kind = $4) AS taken
            FROM company c WHERE c.inn = $1 ORDER BY (c.kpp = $2) DESC NULLS LAST, c.id LIMIT \(Self.candidateLimit)
            """,
            [
                .text(inn), .text(card.kpp), .text(Self.system(card.base)), .text(Self.kind),
                // Under which he may be known here still.
                .texts(card.former(.kpp)),
            ])
        let found = try rows.map { try $0.id("id") }
        guard !rows.isEmpty else {
            return try await wait(
                card, "в CRM нет клиента с ИНН \(inn)", try await namesakes(card, in: transaction), in: transaction)
        }
        let fits = try rows.filter { try $0.bool("fits") }
        guard let only = fits.first, fits.count == 1 else {
            let why = fits.isEmpty ? "у клиента с ИНН \(inn) другой КПП" : "в CRM несколько клиентов с ИНН \(inn)"
            return try await wait(card, why, found, in: transaction)
        }
        let client = try only.id("id")
        guard try !only.bool("taken"),
            try await link(card.base, card.onecId, client, rule: "inn+kpp", by: nil, tells: true, in: transaction)
        else {
            return try await wait(
                card, "у клиента с ИНН \(inn) уже есть карточка в этой базе: это двойник", found, in: transaction)
        }
        try await compare(card, client, nil, in: transaction)
    }

    /// Those who are called the same: a proposal, no more.
    private func namesakes(_ card: CounterpartyReported, in transaction: EventTransaction) async throws -> [ID] {
        try await transaction.query(
            """
            SELECT id FROM company WHERE lower(left(name, 200)) = ANY($1::text[]) UNION ALL
            SELECT id FROM contact WHERE lower(name) = ANY($1::text[]) LIMIT \(Self.candidateLimit)
            """,
            [
                .texts(
                    ([card.name, card.fullName].compactMap { $0 } + card.former(.name)).map {
                        String($0.prefix(200)).lowercased()
                    })
            ]
        ).map { try $0.id("id") }
    }

    private func wait(
        _ card: CounterpartyReported, _ reason: String, _ candidates: [ID], state: String = "waiting",
        in transaction: EventTransaction
    ) async throws {
        try await transaction.query(
            "UPDATE onec_card SET state = $3, reason = $4, candidates = $5::uuid[] WHERE base = $1 AND onec_id = $2",
            [.text(card.base), .text(card.onecId), .text(state), .text(reason), .ids(candidates)])
    }

    // MARK: links

    /// Links a card with a client, for good.
    ///
    /// - Parameter tells: whether the bridge has to hear of it.
    /// - Returns: false when either has another one already.
    func link(
        _ base: String, _ onecId: String, _ client: ID, rule: String, by: String?, tells: Bool,
        in transaction: EventTransaction
    ) async throws -> Bool {
        let linked = try await transaction.query(
            """
            INSERT INTO external_id (system, kind, external_id, client_id, rule, by_whom) VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT DO NOTHING
            """,
            [.text(Self.system(base)), .text(Self.kind), .text(onecId), .id(client), .text(rule), .text(by)]
        ).affected
        guard linked == 1 else { return false }
        try await transaction.query(
            """
            UPDATE onec_card SET state = 'linked', reason = NULL, candidates = '{}', decided_by = $3
            WHERE base = $1 AND onec_id = $2
            """, [.text(base), .text(onecId), .text(by)])
        if tells {
            try transaction.emit(
                ClientLinkChanged(base: base, onecId: onecId, clientId: client, rule: rule, by: by),
                key: "card:\(base):\(onecId)", correlation: nil, causation: nil)
        }
        return true
    }

    /// Takes a link back; the card waits again, and only a person links it anew.
    func unlink(_ base: String, _ onecId: String, by: String, in transaction: EventTransaction) async throws -> Bool {
        let gone = try await transaction.query(
            "DELETE FROM external_id WHERE system = $1 AND kind = $2 AND external_id = $3",
            [.text(Self.system(base)), .text(Self.kind), .text(onecId)]
        ).affected
        guard gone == 1 else { return false }
        try await transaction.query(
            """
            UPDATE onec_card SET state = 'waiting', reason = 'связь снята: ' || $3, decided_by = $3
            WHERE base = $1 AND onec_id = $2
            """, [.text(base), .text(onecId), .text(by)])
        try transaction.emit(
            ClientLinkChanged(base: base, onecId: onecId, clientId: nil, rule: "undone", by: by),
            key: "card:\(base):\(onecId)", correlation: nil, causation: nil)
        return true
    }

    // MARK: renames

    private func compare(
        _ card: CounterpartyReported, _ client: ID, _ before: Row?, in transaction: EventTransaction
    ) async throws {
        try await compare(
            card.base, card.onecId, client, told: [.name: card.name, .inn: card.inn, .kpp: card.kpp], before: before,
            by: card.by, word: card.by, former: [.name: card.former(.name), .kpp: card.former(.kpp)], in: transaction)
    }

    /// - Parameters:
    ///   - before: what the card said last; nil when it is linked just now.
    ///   - word: whose word the card's values are.
    ///   - former: what the card was before, by its own history: who is called so here has only not heard of the change.
    func compare(
        _ base: String, _ onecId: String, _ client: ID, told: [ClientTruth.Field: String?], before: Row?, by: String?,
        word: String?,
        former: [ClientTruth.Field: [String]] = [:], in transaction: EventTransaction
    ) async throws {
        guard var record = try await ClientRecord.find(client, in: transaction) else { return }
        let owners = try await DataOwners(runner: transaction).all()
        for field in ClientTruth.Field.allCases where record.has(field) {
            let now = field.usable(told[field] ?? nil)
            let stale = record.values[field].flatMap { former[field, default: []].contains($0) ? $0 : nil }
            let old = try before?.optionalString(field.rawValue) ?? stale
            let verdict = ClientTruth.decide(
                field, owner: owners[field] ?? .both, ours: record.values[field], before: old, now: now,
                isFirst: before == nil && stale == nil)
            switch verdict {
            case .nothing: continue
            case .taken: try await record.set(field, now, source: Self.system(base), by: by, in: transaction)
            case .conflict(let keepsOurs, let rule):
                try await transaction.query(
                    """
                    INSERT INTO client_conflict (id, client_id, base, onec_id, field, crm_value, onec_value, kept, rule, told_by)
                    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                    """,
                    [
                        .id(.make()), .id(client), .text(base), .text(onecId), .text(field.rawValue),
                        .text(record.values[field]), .text(now), .text(keepsOurs ? "crm" : "onec"), .text(rule),
                        .text(word),
                    ])
                if !keepsOurs { try await record.set(field, now, source: Self.system(base), by: by, in: transaction) }
            }
        }
    }
}

extension CounterpartyReported {
    /// What a field of the card was before.
    fileprivate func former(_ field: ClientTruth.Field) -> [String] {
        ClientCards.former(field, history ?? [], now: field == .name ? [name, fullName] : [kpp])
    }
}

extension ClientCards {
    /// What a field of a card was before, by its history.
    static func former(_ field: ClientTruth.Field, _ history: [FormerValue], now: [String?]) -> [String] {
        history.filter { $0.field == field.rawValue && !now.contains($0.value) }.map(\.value)
    }
}
