import Contracts
import Hummingbird
import Messaging
import Postgres
import Primitives
import ServiceKit
import Sodium

/// The exchange journal and the state of each base.
struct JournalAPI: Sendable {
    let bus: EventBus
    let settings: SuiteSettings

    struct ExchangeView: AnswerShape {
        let id: ID
        let base: String?
        let at: Timestamp
        let direction, kind, method, target: String
        let status: Int64?
        let result: String
        let reason: String?
        let understood: [String]
        let journeyIds: [String]
        let requestBytes: Int64
    }
    struct Whole: AnswerShape {
        let exchange: ExchangeView
        let request, answer: String
        /// Base64url of the bytes as they came.
        let requestRaw, answerRaw: String
    }
    /// Bytes of a request or an answer that are shown covered.
    private static let coveredBytes = 1 << 20

    /// The same for those who see particulars covered: without the bytes, and of a large one its beginning.
    struct Covered: AnswerShape {
        let exchange: ExchangeView
        let request, answer: String
    }
    static let columns = """
        id, base, at, direction, kind, method, target, status, result, reason, understood::text AS understood,
        journeys::text AS journeys, octet_length(request) AS request_bytes
        """

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/api/v1/exchanges") { request, context in
            let caller = try context.require("head", "manager", "accountant", "integrator", "reader")
            return try Response.json(try await list(request, isOpen: caller.seesParticulars || caller.userID == nil))
        }
        router.get("/api/v1/exchanges/:id") { _, context in
            let caller = try context.require("head", "accountant", "integrator", "manager")
            let row = try await exchange(context, caller)
            let (request, answer) = (try row.bytes("request"), try row.optionalBytes("answer") ?? [])
            guard caller.seesParticulars else {
                // To cover all of a large file takes long; whoever may see it whole gets it whole.
                let shown = [request, answer].map {
                    Masking.covered(String(decoding: $0.prefix(Self.coveredBytes), as: UTF8.self))
                }
                return try Response.json(
                    Covered(exchange: try Self.view(row, isOpen: false), request: shown[0], answer: shown[1]))
            }
            let texts = [request, answer].map { String(decoding: $0, as: UTF8.self) }
            return try Response.json(
                Whole(
                    exchange: try Self.view(row), request: texts[0], answer: texts[1], requestRaw: base64URL(request),
                    answerRaw: base64URL(answer)))
        }
        router.get("/api/v1/bases") { _, context in
            try context.requireReader()
            return try Response.json(
                Page(items: try await BaseStates(pool: bus.pool, settings: settings).all(), next: nil))
        }
        router.get("/api/v1/parked") { request, context in
            try context.require("head", "accountant", "integrator")
            let rows = try await bus.pool.query(
                """
                SELECT id, base, exchange_id, number, reason, at FROM parked_document WHERE settled_at IS NULL
                ORDER BY id DESC LIMIT $1
                """,
                [.int(try request.limit())])
            struct Item: AnswerShape {
                let id: ID
                let base: String
                let exchangeId: ID
                let number: String?
                let reason: String
                let at: Timestamp
            }
            return try Response.json(
                Page(
                    items: try rows.map {
                        Item(
                            id: try $0.id("id"), base: try $0.string("base"),
                            exchangeId: try $0.id("exchange_id"), number: try $0.optionalString("number"),
                            reason: try $0.string("reason"), at: try $0.time("at"))
                    }, next: nil))
        }
        router.post("/api/v1/parked/:id/dismiss") { request, context in
            let caller = try context.require("head", "accountant", "integrator")
            struct Word: Decodable { let reason: String }
            let reason = try await request.json(Word.self).reason.withoutNUL.trimmed
            guard (1...500).contains(reason.count) else { throw Problem.invalid("reason has 1 to 500 characters") }
            guard let id = ID(try context.text("id")) else { throw Problem.notFound("parked document") }
            let settled = try await bus.pool.query(
                """
                UPDATE parked_document SET settled_at = now(), settled_by = $2, is_dismissed = true
                WHERE id = $1 AND settled_at IS NULL
                """, [.id(id), .text("\(caller.name): \(reason)")]
            ).affected
            guard settled == 1 else { throw Problem.notFound("parked document that waits") }
            return Response(status: .noContent)
        }
        addSendAgain(to: router)
        for (verb, paused) in [("pause", true), ("resume", false)] {
            router.post("/api/v1/bases/:base/\(verb)") { _, context in
                let caller = try context.require("head", "accountant", "integrator")
                let base = try context.text("base")
                try await setPause(base, paused ? caller.name : nil)
                return Response(status: .noContent)
            }
        }
    }

    /// Orders that went to a base behind EnterpriseData since a time go out once more.
    private func addSendAgain(to router: Router<ServiceRequestContext>) {
        struct Wish: Decodable { let since: String }
        struct Sent: AnswerShape {
            let count: Int
            let orders: [String]
        }
        router.post("/api/v1/bases/:base/send-again") { request, context in
            let caller = try context.require("head", "accountant", "integrator")
            let name = try context.text("base")
            guard let base = settings.bases.first(where: { $0.base == name }) else { throw Problem.notFound("base") }
            guard base.driver == .enterprisedata else {
                throw Problem.invalid(
                    "only a base of driver enterprisedata is sent to again: the others are asked what they have")
            }
            guard let since = Timestamp(try await request.json(Wish.self).since) else {
                throw Problem.invalid("since is a time such as 2026-01-31T09:05:00.000Z")
            }
            let journal = ExchangeJournal(pool: bus.pool)
            let entry = try await journal.open(
                base: name, session: nil, kind: "enterprise.again", method: "SEND", target: "с \(since)", body: [],
                direction: "out")
            let orders = try await ExchangeNode(bus: bus, base: name, births: OrderBirths(settings))
                .sendAgain(since: since)
            try await journal.close(
                entry,
                .init(
                    answer: [], understood: ["\(caller.name): отправить снова с \(since), заказов \(orders.count)"],
                    orders: Array(orders.prefix(1000))))
            return try Response.json(Sent(count: orders.count, orders: Array(orders.prefix(1000))))
        }
    }

    /// The exchange that an address names, with its bytes, for one who may see it.
    func exchange(_ context: ServiceRequestContext, _ caller: Caller) async throws -> Row {
        guard let id = ID(try context.text("id")),
            let row = try await bus.pool.query(
                "SELECT \(Self.columns), request, answer FROM exchange WHERE id = $1", [.id(id)]
            ).first
        else { throw Problem.notFound("exchange") }
        guard try row.string("kind") != "bank.statement" || caller.seesOutgoing else { throw Problem.forbidden }
        return row
    }

    /// - Parameter by: who pauses the base; nil for a resume, which also closes the breaker: a person says that it works again.
    func setPause(_ base: String, _ by: String?) async throws {
        guard settings.bases.contains(where: { $0.base == base }) else { throw Problem.notFound("base") }
        try await bus.pool.query(
            """
            INSERT INTO base_state AS b (base, paused_by) VALUES ($1, $2)
            ON CONFLICT (base) DO UPDATE SET paused_by = excluded.paused_by,
                resumed_at = CASE WHEN $2::text IS NULL THEN clock_timestamp() ELSE b.resumed_at END,
                failures = CASE WHEN $2::text IS NULL THEN 0 ELSE b.failures END,
                closed_until = CASE WHEN $2::text IS NOT NULL THEN b.closed_until END
            """, [.text(base), .text(by)])
    }

    /// - Parameter isOpen: whether particulars are shown.
    static func view(_ row: Row, isOpen: Bool = true) throws -> ExchangeView {
        func shown(_ text: String) -> String { isOpen ? text : Masking.covered(text) }
        return ExchangeView(
            id: try row.id("id"), base: try row.optionalString("base"), at: try row.time("at"),
            direction: try row.string("direction"), kind: try row.string("kind"),
            method: try row.string("method"), target: shown(try row.string("target")),
            status: try row.optionalInt("status"), result: try row.string("result"),
            reason: try row.optionalString("reason").map(shown),
            understood: try JSON.decode([String].self, from: try row.string("understood").utf8).map(shown),
            journeyIds: try row.list("journeys"), requestBytes: try row.int("request_bytes"))
    }

    private func list(_ request: Request, isOpen: Bool) async throws -> Page<ExchangeView> {
        let limit = try request.limit()
        for name in ["from", "to"] {
            if let time = request.query(name), Timestamp(time) == nil {
                throw Problem.badRequest("\(name) is a time such as 2026-01-31T09:05:00.000Z")
            }
        }
        let rows = try await JournalSearch(request).find(in: bus.pool, limit: limit + 1)
        let items = try rows.prefix(limit).map { try Self.view($0, isOpen: isOpen) }
        return Page(items: items, next: rows.count > limit ? items.last?.id.description : nil)
    }
}
