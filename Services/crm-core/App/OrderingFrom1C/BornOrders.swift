import Contracts
import Hummingbird
import Messaging
import Postgres
import Primitives
import ServiceKit

/// Orders that were made in 1C (`origin: onec`): they are their client's as soon as his card is linked, and a deal's when a person says so.
struct BornOrders: Sendable {
    let bus: EventBus
    let documents: OrderDocuments

    /// Ids of the orders of a company, `$1`: those of its deals, and those that 1C made for its cards and nobody has linked.
    static let ofCompany = """
        SELECT o.id FROM sales_order o JOIN deal d ON d.id = o.deal_id WHERE d.company_id = $1
        UNION ALL SELECT o.id FROM external_id x JOIN sales_order o ON o.base = substr(x.system, 4) AND o.card_id = x.external_id
        WHERE x.client_id = $1 AND x.kind = '\(ClientCards.kind)' AND o.deal_id IS NULL
        """

    static func take(in handlers: inout EventHandlers) {
        handlers.on(OrderBorn.self) { born, event, transaction in
            try await transaction.query(
                """
                INSERT INTO sales_order (id, number, kind, origin, organization, base, onec_number, onec_id, card_id, currency, asked_minor,
                    total_minor, lines, status, last_event, as_of, created_at)
                VALUES ($1, $2, 'goods', 'onec', $3, $4, $5, $6, $7, $8, $9, $9, $10::jsonb, 'accepted', $11, $12, coalesce($13::timestamptz, $12))
                ON CONFLICT (id) DO NOTHING
                """,
                [
                    .id(born.orderId), .text(born.number), .text(born.organization), .text(born.base),
                    .text(born.onecNumber), .text(born.onecId), .text(born.cardId), .text(born.total.currency.code),
                    .int(born.total.minor), .text(try JSON.text(born.lines)), .id(event.id), .time(event.at),
                    .text(born.date),
                ])
        }
    }

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/api/v1/born-orders") { request, context in
            let caller = try context.requireReader()
            let linked = try request.query("linked").map { word -> Bool in
                guard let linked = Bool(word) else { throw Problem.badRequest("linked is true or false") }
                return linked
            }
            let after = try request.query("after").map { text -> ID in
                guard let id = ID(text) else { throw Problem.badRequest("after is an order's id") }
                return id
            }
            return try Response.json(
                try await page(linked: linked, after: after, for: caller, limit: try request.limit()))
        }
        let once = Idempotency(bus: bus)
        router.post("/api/v1/orders/:id/deal") { request, context in
            let (caller, order) = (try context.require("manager", "head"), try context.id("order"))
            return try await once.run(request, caller) { transaction, bytes in
                let wish = try decodeBody(Link.self, bytes)
                return try .init(.ok, try await link(order, to: wish.dealId, by: caller, in: transaction))
            }
        }
        router.delete("/api/v1/orders/:id/deal") { _, context in
            let (caller, order) = (try context.require("manager", "head"), try context.id("order"))
            return try Response.json(try await bus.transaction { try await unlink(order, by: caller, in: $0) })
        }
    }

    struct Link: Decodable { let dealId: ID }

    /// An order and whose it is, as far as that is known.
    struct Entry: AnswerShape {
        let order: OrderView
        /// The card's name in 1C; nil when the exchange has told none.
        let client: String?
        /// The client here, when the card is linked.
        let clientId: ID?
    }

    /// Orders in the order of their ids; those of deals that the caller may not see are left out.
    func page(linked: Bool?, after: ID?, for caller: Caller, limit: Int) async throws -> Page<Entry> {
        let which =
            switch linked {
            case true: "o.deal_id IS NOT NULL AND "
            case false: "o.deal_id IS NULL AND "
            case nil: ""
            }
        let entries = try await entries(
            """
            \(which)($1::uuid IS NULL OR o.id > $1)
                AND ($2::uuid IS NULL OR o.deal_id IS NULL OR o.deal_id IN (SELECT id FROM deal WHERE responsible_id = $2))
            ORDER BY o.id
            """, [.id(after), .id(try caller.ownerFilter())], limit: limit)
        return Page(items: entries, next: entries.count == limit ? entries.last?.order.id.description : nil)
    }

    /// The newest of those that are no deal's.
    func unlinked(limit: Int) async throws -> [Entry] {
        try await entries("o.deal_id IS NULL ORDER BY o.created_at DESC, o.id", [], limit: limit)
    }

    func entry(_ id: ID) async throws -> Entry? { try await entries("o.id = $1", [.id(id)], limit: 1).first }

    /// - Parameter rest: what follows `WHERE`, with the order.
    private func entries(_ rest: String, _ parameters: [Parameter], limit: Int) async throws -> [Entry] {
        let rows = try await bus.pool.query(
            """
            SELECT o.id, c.name, x.client_id FROM sales_order o
            LEFT JOIN onec_card c ON c.base = o.base AND c.onec_id = o.card_id
            LEFT JOIN external_id x ON x.system = '1c/' || o.base AND x.kind = '\(ClientCards.kind)' AND x.external_id = o.card_id
            WHERE o.origin = 'onec' AND \(rest) LIMIT \(limit)
            """, parameters)
        let orders = try await OrderView.load(ids: try rows.map { try $0.id("id") }, in: bus.pool)
        let byID = Dictionary(orders.map { ($0.id, $0) }) { first, _ in first }
        return try rows.compactMap { row in
            try byID[try row.id("id")].map {
                Entry(
                    order: $0, client: try row.optionalString("name"), clientId: try row.optionalID("client_id"))
            }
        }
    }

    // MARK: whose it is

    /// The order becomes the deal's, with its documents and its money: reports count that as the deal's from then on, also what came before.
    ///
    /// - Throws: 404 when the caller may not see the deal; 409 when the order was asked for here, is another deal's already, or is another client's.
    func link(_ id: ID, to dealID: ID, by caller: Caller, in transaction: EventTransaction) async throws -> OrderView {
        let (order, cause) = try await locked(id, caller, in: transaction)
        let deal = try await DealView.load(dealID, for: caller, in: transaction)
        guard order.dealId != deal.id else { return order }
        guard order.dealId == nil else {
            throw Problem.conflict("заказ уже связан с другой сделкой: сначала отвяжите его")
        }
        guard deal.organization == order.organization else {
            throw Problem.conflict(
                "сделка другой организации: «\(deal.organization)», а заказ — «\(order.organization)»")
        }
        let client = try await transaction.query(
            """
            SELECT x.client_id FROM sales_order o JOIN external_id x ON x.system = '1c/' || o.base AND x.kind = '\(ClientCards.kind)'
                AND x.external_id = o.card_id WHERE o.id = $1
            """, [.id(id)]
        ).first?.id("client_id")
        guard client.map({ $0 == deal.companyId || $0 == deal.contactId }) ?? true else {
            throw Problem.conflict("в 1С это заказ другого клиента, чем у сделки № \(deal.number)")
        }
        guard let whole = try await Deal.find(deal.id, in: transaction, lock: false) else {
            throw Problem.notFound("deal")
        }
        return try await move(order, cause, to: whole, by: caller, in: transaction)
    }

    /// It is no deal's any more.
    func unlink(_ id: ID, by caller: Caller, in transaction: EventTransaction) async throws -> OrderView {
        let (order, cause) = try await locked(id, caller, in: transaction)
        guard order.dealId != nil else { return order }
        return try await move(order, cause, to: nil, by: caller, in: transaction)
    }

    private func locked(_ id: ID, _ caller: Caller, in transaction: EventTransaction) async throws -> (OrderView, ID?) {
        let (order, cause) = try await OrderView.lock(id, for: caller, in: transaction)
        guard order.origin == "onec" else {
            throw Problem.conflict("заказ \(order.number) сделан по сделке: её он и остаётся")
        }
        return (order, cause)
    }

    private func move(
        _ order: OrderView, _ cause: ID?, to deal: Deal?, by caller: Caller,
        in transaction: EventTransaction
    ) async throws -> OrderView {
        let journey = deal?.journeyID
        // The line that it leaves tells of it, too.
        let event = try transaction.emit(
            OrderLinked(
                orderId: order.id, number: order.number, dealId: deal?.id, journeyId: journey,
                slice: deal?.slice ?? Slice(organization: order.organization), by: caller.name),
            key: order.id.description, correlation: journey ?? order.journeyId, causation: cause)
        try await transaction.query(
            "UPDATE sales_order SET deal_id = $2, journey_id = $3, last_event = $4, version = version + 1 WHERE id = $1",
            [.id(order.id), .id(deal?.id), .id(journey), .id(event)])
        try await documents.tell(
            order.id, cause: event, journey: journey, by: .person(caller.name), in: transaction)
        guard let moved = try await OrderView.load(order.id, in: transaction) else { throw Problem.notFound("order") }
        return moved
    }
}
