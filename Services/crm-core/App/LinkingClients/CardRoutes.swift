import Contracts
import Hummingbird
import Messaging
import Postgres
import Primitives
import ServiceKit

/// `/api/v1/onec-cards`, `/api/v1/client-conflicts` and what a client was called.
struct CardRoutes: Sendable {
    let bus: EventBus
    private let cards = ClientCards()

    struct Card: AnswerShape {
        let base, onecId, name: String
        let fullName, inn, kpp: String?
        let deleted: Bool
        let state: String
        let reason: String?
        let clientId: ID?
        let candidates: [Candidate]
        let asOf: Timestamp
    }
    struct Candidate: AnswerShape, Decodable {
        let id: ID
        let name: String
        let kind: String
    }
    struct Conflict: AnswerShape {
        let id, clientId: ID
        let base, onecId, field: String
        let crmValue, onecValue: String?
        let kept, rule: String
        /// Whose word 1C's value is: the base, and who wrote it there where it tells that.
        let by: String?
        let at: Timestamp
        let reverted: Bool
        let settledBy: String?
    }
    struct Change: AnswerShape {
        let field: String
        let oldValue, newValue: String?
        let source: String
        let by: String?
        let at: Timestamp
    }
    private struct Link: Decodable, Sendable { let clientId: ID }

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/api/v1/onec-cards") { request, context in
            try context.require("head", "manager", "accountant", "integrator", "reader")
            let state = request.query("state")
            guard state.map({ ["linked", "waiting", "ignored"].contains($0) }) ?? true else {
                throw Problem.badRequest("state is linked, waiting or ignored")
            }
            let limit = try request.limit()
            let found = try await list(state, after: request.query("after"), limit: limit + 1)
            return try Response.json(page(found, limit) { "\($0.base) \($0.onecId)" })
        }
        router.post("/api/v1/onec-cards/:base/:card/:verb") { request, context in
            let caller = try context.require("head", "manager", "accountant", "integrator")
            let (base, card) = (try context.text("base"), try context.text("card"))
            let verb = try context.text("verb")
            guard ["link", "create", "ignore", "unlink"].contains(verb) else { throw Problem.notFound("action") }
            let client = verb == "link" ? try await request.json(Link.self).clientId : nil
            try await decide(verb, base, card, client: client, by: caller.name)
            guard let now = try await list(nil, base: base, card: card, limit: 1).first else {
                throw Problem.notFound("card")
            }
            return try Response.json(now)
        }
        router.get("/api/v1/client-conflicts") { request, context in
            try context.require("head", "accountant", "integrator", "reader")
            let limit = try request.limit()
            let found = try await conflicts(after: try request.idQuery("after"), limit: limit + 1)
            return try Response.json(page(found, limit) { $0.id.description })
        }
        router.post("/api/v1/client-conflicts/:id/revert") { _, context in
            let caller = try context.require("head", "accountant", "integrator")
            try await revert(try context.id("conflict"), by: caller.name)
            return Response(status: .noContent)
        }
        router.get("/api/v1/clients/:id/changes") { _, context in
            let (caller, client) = (try context.requireReader(), try context.id("client"))
            // Of another's client a manager is told no more here than elsewhere.
            let hidden = try await bus.pool.query(
                "SELECT 1 AS one FROM contact WHERE id = $1 AND NOT \(ContactView.isSeen("$2"))",
                [.id(client), .id(try caller.ownerFilter())])
            guard hidden.isEmpty else { throw Problem.notFound("client") }
            return try Response.json(Page(items: try await changes(client), next: nil))
        }
    }

    func list(_ state: String?, base: String? = nil, card: String? = nil, after: String? = nil, limit: Int) async throws
        -> [Card]
    {
        let place = after?.split(separator: " ", maxSplits: 1).map(String.init)
        let rows = try await bus.pool.query(
            """
            SELECT c.*, x.client_id, (
                SELECT coalesce(jsonb_agg(jsonb_build_object('id', p.id, 'name', p.name, 'kind', p.kind)), '[]') FROM (
                    SELECT id, name, 'company' AS kind FROM company WHERE id = ANY(c.candidates) OR c.inn <> '' AND inn = c.inn UNION ALL
                    SELECT id, coalesce(name, ''), 'contact' FROM contact WHERE id = ANY(c.candidates)) AS p)::text AS people
            FROM onec_card c LEFT JOIN external_id x ON x.system = '1c/' || c.base AND x.kind = 'counterparty' AND x.external_id = c.onec_id
            WHERE ($1::text IS NULL OR c.state = $1) AND ($2::text IS NULL OR c.base = $2) AND ($3::text IS NULL OR c.onec_id = $3)
                AND ($4::text IS NULL OR (c.base, c.onec_id) > ($4, $5)) ORDER BY c.base, c.onec_id LIMIT $6
            """,
            [
                .text(state), .text(base), .text(card), .text(place?.first), .text(place?.count == 2 ? place?[1] : ""),
                .int(limit),
            ])
        return try rows.map { row in
            Card(
                base: try row.string("base"), onecId: try row.string("onec_id"), name: try row.string("name"),
                fullName: try row.optionalString("full_name"), inn: try row.optionalString("inn"),
                kpp: try row.optionalString("kpp"), deleted: try row.bool("is_deleted"), state: try row.string("state"),
                reason: try row.optionalString("reason"), clientId: try row.optionalID("client_id"),
                candidates: try decodeBody([Candidate].self, Array(try row.string("people").utf8)),
                asOf: try row.time("as_of"))
        }
    }

    func conflicts(after: ID? = nil, limit: Int) async throws -> [Conflict] {
        try await bus.pool.query(
            "SELECT * FROM client_conflict WHERE $1::uuid IS NULL OR id < $1 ORDER BY id DESC LIMIT $2",
            [.id(after), .int(limit)]
        ).map { row in
            Conflict(
                id: try row.id("id"), clientId: try row.id("client_id"), base: try row.string("base"),
                onecId: try row.string("onec_id"), field: try row.string("field"),
                crmValue: try row.optionalString("crm_value"),
                onecValue: try row.optionalString("onec_value"), kept: try row.string("kept"),
                rule: try row.string("rule"), by: try row.optionalString("told_by"),
                at: try row.time("at"), reverted: try row.bool("reverted"),
                settledBy: try row.optionalString("settled_by"))
        }
    }

    func changes(_ client: ID) async throws -> [Change] {
        try await bus.pool.query(
            "SELECT * FROM client_change WHERE client_id = $1 ORDER BY id DESC LIMIT 200", [.id(client)]
        ).map { row in
            Change(
                field: try row.string("field"), oldValue: try row.optionalString("old_value"),
                newValue: try row.optionalString("new_value"), source: try row.string("source"),
                by: try row.optionalString("by_whom"), at: try row.time("at"))
        }
    }

    // MARK: deciding

    /// - Parameter verb: `link` with a client, `create` a client of it, `ignore`, or `unlink`.
    func decide(_ verb: String, _ base: String, _ card: String, client: ID?, by: String) async throws {
        try await bus.transaction { [cards] transaction in
            let row = try await transaction.query(
                "SELECT name, full_name, inn, kpp, state, history::text AS history FROM onec_card WHERE base = $1 AND onec_id = $2 FOR UPDATE",
                [.text(base), .text(card)]
            ).first
            guard let row else { throw Problem.notFound("card") }
            if verb == "unlink" {
                guard try await cards.unlink(base, card, by: by, in: transaction) else {
                    throw Problem.conflict("карточка ни с кем не связана")
                }
                return
            }
            guard try row.string("state") != "linked" else {
                throw Problem.conflict("карточка уже связана: сначала снимите связь")
            }
            if verb == "ignore" {
                try await transaction.query(
                    """
                    UPDATE onec_card SET state = 'ignored', reason = 'не наш клиент: ' || $3, decided_by = $3
                    WHERE base = $1 AND onec_id = $2
                    """, [.text(base), .text(card), .text(by)])
                return
            }
            let whose = verb == "create" ? try await Self.make(row, in: transaction) : client
            guard let whose, try await ClientRecord.find(whose, in: transaction) != nil else {
                throw Problem.notFound("client")
            }
            let rule = verb == "create" ? "made" : "person"
            guard try await cards.link(base, card, whose, rule: rule, by: by, tells: true, in: transaction) else {
                throw Problem.conflict("у клиента уже есть другая карточка этой базы")
            }
            try await cards.compare(
                base, card, whose,
                told: [
                    .name: try row.string("name"), .inn: try row.optionalString("inn"),
                    .kpp: try row.optionalString("kpp"),
                ], before: nil, by: by, word: "1С \(base)", former: try Self.former(row), in: transaction)
        }
    }

    private static func former(_ card: Row) throws -> [ClientTruth.Field: [String]] {
        let history = try JSON.decode([FormerValue].self, from: try card.string("history").utf8)
        return [
            .name: ClientCards.former(
                .name, history, now: [try card.string("name"), try card.optionalString("full_name")]),
            .kpp: ClientCards.former(.kpp, history, now: [try card.optionalString("kpp")]),
        ]
    }

    private static func make(_ card: Row, in transaction: EventTransaction) async throws -> ID {
        let name = try card.optionalString("full_name") ?? card.string("name")
        let inn = try card.optionalString("inn").flatMap { TaxNumber($0) == nil ? nil : $0 }
        let kpp = try card.optionalString("kpp").flatMap { isKPP($0) ? $0 : nil }
        return try await Directory(runner: transaction).addCompany(
            .init(name: String(name.prefix(250)), inn: inn, kpp: kpp, address: nil)
        ).id
    }

    /// The other side's value after all.
    func revert(_ id: ID, by: String) async throws {
        try await RefusedWrites(pool: bus.pool).guarding(by: by) { try await takeOther(id, by: by) }
    }

    private func takeOther(_ id: ID, by: String) async throws {
        try await bus.transaction { transaction in
            let row = try await transaction.query(
                "SELECT client_id, field, crm_value, onec_value, kept, reverted FROM client_conflict WHERE id = $1 FOR UPDATE",
                [.id(id)]
            ).first
            guard let row else { throw Problem.notFound("conflict") }
            guard try !row.bool("reverted"), let field = ClientTruth.Field(rawValue: try row.string("field")),
                var record = try await ClientRecord.find(try row.id("client_id"), in: transaction)
            else { throw Problem.conflict("другое значение уже взято") }
            let kept = try row.optionalString(try row.string("kept") == "crm" ? "crm_value" : "onec_value")
            guard record.values[field] == kept else {
                throw Problem.conflict("поле с тех пор изменили: исправьте его в карточке клиента")
            }
            let other = try row.optionalString(try row.string("kept") == "crm" ? "onec_value" : "crm_value")
            if try row.string("kept") == "onec", let other {
                try await DataOwners(runner: transaction).demandOurs(
                    record.id, [(field, other)], record.values[.name] ?? "")
            }
            try await record.set(field, other, source: "crm", by: by, in: transaction)
            try await transaction.query(
                "UPDATE client_conflict SET reverted = true, settled_by = $2, settled_at = now() WHERE id = $1",
                [.id(id), .text(by)])
        }
    }
}
