import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit

/// An order with its documents, flags, changes and its invoice's history, as they stand in the database.
extension OrderView {
    static func load(_ id: ID, in runner: some StatementRunner) async throws -> OrderView? {
        try await load("id = $1", .id(id), in: runner).first
    }

    /// The order, locked, and the event that was last said of it.
    ///
    /// - Throws: 404 when there is none, also to whoever may not see its deal.
    static func lock(_ id: ID, for caller: Caller, in transaction: EventTransaction) async throws -> (
        order: OrderView, lastEvent: ID?
    ) {
        let row = try await transaction.query(
            "SELECT last_event FROM sales_order WHERE id = $1 FOR UPDATE", [.id(id)]
        ).first
        guard let row, let order = try await load(id, in: transaction) else { throw Problem.notFound("order") }
        if let deal = order.dealId { _ = try await DealView.load(deal, for: caller, in: transaction) }
        return (order, try row.optionalID("last_event"))
    }

    static func load(ids: [ID], in runner: some StatementRunner) async throws -> [OrderView] {
        try await load("id = ANY($1::uuid[])", .ids(ids), in: runner)
    }

    static func load(deal: ID, in runner: some StatementRunner) async throws -> [OrderView] {
        try await load("deal_id = $1", .id(deal), in: runner)
    }

    static func load(journeys: [ID], in runner: some StatementRunner) async throws -> [OrderView] {
        try await load(
            "journey_id = ANY($1::uuid[])", .ids(journeys), limit: journeys.count == 1 ? limit : companyLimit,
            in: runner)
    }

    static func load(company: ID, in runner: some StatementRunner) async throws -> [OrderView] {
        // The newest of them: what is owed now is asked for.
        try await load(
            "id IN (\(BornOrders.ofCompany))", .id(company), newestFirst: true, limit: companyLimit, in: runner
        ).reversed()
    }

    /// Orders of one record at most.
    private static let limit = 200
    /// Orders of a company that its sums are of; of a page of journeys together.
    static let companyLimit = 2000

    /// Orders with their documents in one round trip, oldest first.
    private static func load(
        _ condition: String, _ parameter: Parameter, newestFirst: Bool = false, limit: Int = limit,
        in runner: some StatementRunner
    ) async throws
        -> [OrderView]
    {
        let order = newestFirst ? "created_at DESC" : "created_at"
        let answers = try await runner.run([
            Statement(
                """
                SELECT id, number, kind, origin, organization, base, onec_number, deal_id, journey_id, status,
                    failure, currency, asked_minor, total_minor, revenue_minor, cost_minor, tells_payments, tells_shipments, paid_flag, shipped_flag,
                    due_date::text AS due_date, booking_id, lines::text AS lines, as_of, created_at
                FROM sales_order WHERE \(condition) ORDER BY \(order) LIMIT \(limit)
                """, [parameter]),
            Statement(
                """
                SELECT order_id, base, kind, onec_id, number, date, amount_minor, currency, posted, cancelled,
                    counts, link, as_of, exchange_id
                FROM document WHERE order_id IN (
                    SELECT id FROM sales_order WHERE \(condition) ORDER BY \(order) LIMIT \(limit))
                ORDER BY date, onec_id
                """, [parameter]),
            Statement(
                """
                SELECT order_id, department, done, by_whom, at FROM order_flag WHERE order_id IN (
                    SELECT id FROM sales_order WHERE \(condition) ORDER BY \(order) LIMIT \(limit))
                ORDER BY department
                """, [parameter]),
            Statement(
                """
                SELECT order_id, id, kind, state, reason, by_whom, at, answered_at FROM order_change WHERE order_id IN (
                    SELECT id FROM sales_order WHERE \(condition) ORDER BY \(order) LIMIT \(limit))
                ORDER BY id
                """, [parameter]),
            Statement(
                """
                SELECT order_id, mark, by_whom, note, at FROM invoice_mark WHERE order_id IN (
                    SELECT id FROM sales_order WHERE \(condition) ORDER BY \(order) LIMIT \(limit))
                ORDER BY at
                """, [parameter]),
            Statement(
                """
                SELECT order_id, state, source, by_whom, note, at FROM invoice_step WHERE order_id IN (
                    SELECT id FROM sales_order WHERE \(condition) ORDER BY \(order) LIMIT \(limit))
                ORDER BY number
                """, [parameter]),
        ])
        let documents = try Dictionary(grouping: answers[1]) { try $0.id("order_id") }
        let flags = try Dictionary(grouping: answers[2]) { try $0.id("order_id") }
        let changes = try Dictionary(grouping: answers[3]) { try $0.id("order_id") }
        let marks = try Dictionary(grouping: answers[4]) { try $0.id("order_id") }
        let steps = try Dictionary(grouping: answers[5]) { try $0.id("order_id") }
        return try answers[0].compactMap { row in
            guard let asked = try row.money("asked_minor") else { return nil }
            let own = try row.id("id")
            var order = try OrderView(
                row, asked: asked, documents: documents[own] ?? [], marks: marks[own] ?? [], steps: steps[own] ?? [])
            order.flags = try (flags[order.id] ?? []).map {
                Flag(
                    department: try $0.string("department"), done: try $0.bool("done"),
                    by: try $0.optionalString("by_whom"), at: try $0.optionalTime("at"))
            }
            order.changes = try (changes[order.id] ?? []).map {
                Change(
                    id: try $0.id("id"), kind: try $0.string("kind"), state: try $0.string("state"),
                    reason: try $0.optionalString("reason"), by: try $0.string("by_whom"), at: try $0.time("at"),
                    answeredAt: try $0.optionalTime("answered_at"))
            }
            return order
        }
    }

    private init(_ row: Row, asked: Money, documents rows: [Row], marks: [Row], steps: [Row]) throws {
        let documents = try rows.map {
            DocumentView(
                base: try $0.string("base"), kind: try $0.string("kind"),
                onecId: try $0.string("onec_id"), number: try $0.optionalString("number"),
                date: try $0.optionalString("date"), amount: try $0.money("amount_minor"),
                posted: try $0.bool("posted"), cancelled: try $0.bool("cancelled"),
                counts: try $0.bool("counts"), link: try $0.optionalString("link"),
                asOf: try $0.time("as_of"), exchangeId: try $0.optionalID("exchange_id"))
        }
        let told = try row.money("total_minor")
        let state = OrderState(
            total: told ?? asked, tellsPayments: try row.optionalBool("tells_payments"),
            tellsShipments: try row.optionalBool("tells_shipments"),
            paidFlag: try row.optionalBool("paid_flag"),
            shippedFlag: try row.optionalBool("shipped_flag"),
            documents: documents.map {
                .init(
                    kind: $0.kind, amount: $0.amount, counts: $0.counts && $0.posted && !$0.cancelled,
                    isBanked: $0.base == SuiteSettings.bankBooks)
            })
        id = try row.id("id")
        number = try row.string("number")
        kind = try row.string("kind")
        origin = try row.string("origin")
        organization = try row.string("organization")
        base = try row.string("base")
        onecNumber = try row.optionalString("onec_number")
        bookingId = try row.optionalString("booking_id")
        dealId = try row.optionalID("deal_id")
        journeyId = try row.optionalID("journey_id")
        status = try row.string("status")
        failure = try row.optionalString("failure")
        payment = state.payment
        shipment = state.shipment
        let reason = state.knowsSums ? nil : OrderState.cannotTell
        paymentUnknown = payment == "unknown" ? reason : nil
        let goodsReason =
            state.isShippedUnpriced ? OrderState.unpricedShipments : state.tellsShipments ? nil : OrderState.cannotTell
        let returnedReason = state.isReturnedUnpriced ? OrderState.unpricedReturns : goodsReason
        shipmentUnknown = shipment == "unknown" ? returnedReason : nil
        askedTotal = asked
        total = told
        totalUnknown = told == nil ? "1С ещё не сообщила сумму заказа" : nil
        paid = state.knowsSums ? state.paid : nil
        paidUnknown = reason
        refunded = state.knowsSums ? state.refunded : nil
        refundedUnknown = reason
        shipped = state.tellsShipments ? state.shipped : nil
        shippedUnknown = goodsReason
        returned = returnedReason == nil ? state.returned : nil
        returnedUnknown = returnedReason
        owed = state.knowsSums ? state.owed : nil
        owedUnknown = reason
        let brought = try row.money("revenue_minor") ?? (returnedReason == nil ? state.revenue : nil)
        let spent = try row.money("cost_minor")
        (revenue, cost) = (brought, spent)
        margin = brought.flatMap { brought in spent.map { brought - $0 } }
        marginUnknown =
            margin != nil ? nil : spent == nil ? "1С не сообщает себестоимость этого заказа" : returnedReason
        dueDate = try row.optionalString("due_date")
        overdue =
            dueDate.map { $0 < LocalTime.day(.now()) } == true && (owed?.minor ?? 0) > 0
            && !["cancelled", "failed"].contains(status)
        let issued = documents.last { $0.kind == "invoice" && !$0.cancelled && $0.counts }
        let said = try marks.map {
            Invoice.Said(
                state: try $0.string("mark"), by: try $0.string("by_whom"), note: try $0.optionalString("note"),
                at: try $0.time("at"))
        }
        invoice = Invoice(
            state: InvoiceState(
                status: status, isIssued: issued != nil, payment: payment, isOverdue: overdue,
                marks: Set(said.compactMap { InvoiceState.Mark(rawValue: $0.state) })
            ).rawValue,
            number: issued?.number,
            history: try steps.map {
                .init(
                    state: try $0.string("state"), source: try $0.string("source"), by: try $0.string("by_whom"),
                    note: try $0.optionalString("note"), at: try $0.time("at"))
            }, said: said)
        dueDateUnknown = dueDate == nil ? "1С не назвала срок платежа" : nil
        self.documents = documents
        lines = try JSON.decode([OrderLine].self, from: try row.string("lines").utf8)
        asOf = try row.optionalTime("as_of")
        createdAt = try row.time("created_at")
        isSettled = state.isSettled
        tellsPayments = try row.optionalBool("tells_payments")
    }
}
