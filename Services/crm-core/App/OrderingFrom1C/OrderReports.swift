import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit

/// What the bridge says of our orders: taken, refused, and each state with its documents.
struct OrderReports: Sendable {
    let documents: OrderDocuments
    let flags: OrderFlags

    /// States in which a system may still say that it does not take an order.
    private static let refusable = ["requested", "sent", "accepted"]

    func handlers() -> EventHandlers {
        var handlers = EventHandlers()
        handlers.on(OrderSent.self) { sent, event, transaction in
            try await status(sent.orderId, "sent", from: ["requested", "failed"], sent.base, event, in: transaction)
        }
        handlers.on(OrderRefused.self) { refused, event, transaction in
            try await transaction.query(
                "UPDATE sales_order SET failure = $2 WHERE id = $1 AND status = ANY($3::text[])",
                [.id(refused.orderId), .text(refused.reason), .texts(Self.refusable)])
            try await status(
                refused.orderId, "failed", from: Self.refusable, refused.base, event, in: transaction)
        }
        handlers.on(OrderRetried.self) { retried, event, transaction in
            try await transaction.query(
                "UPDATE sales_order SET failure = NULL WHERE id = $1", [.id(retried.orderId)])
            try await status(retried.orderId, "requested", from: ["failed"], retried.base, event, in: transaction)
        }
        handlers.on(OrderReported.self) { try await reported($0, $1, in: $2) }
        handlers.on(BooksReported.self) { try await reported($0, $1, in: $2) }
        handlers.on(BankPaymentAllocated.self) { try await banked($0, $1, in: $2) }
        return handlers
    }

    private func status(
        _ id: ID, _ status: String, from: [String], _ base: String, _ event: ReceivedEvent,
        in transaction: EventTransaction
    ) async throws {
        let changed = try await transaction.query(
            """
            UPDATE sales_order SET status = $2, as_of = $4, last_event = $5, version = version + 1
            WHERE id = $1 AND status = ANY($3::text[])
            """, [.id(id), .text(status), .texts(from), .time(event.at), .id(event.id)]
        ).affected
        if changed == 1 { try await tell(id, event, by: .onec(base: base), in: transaction) }
    }

    private func reported(
        _ report: OrderReported, _ event: ReceivedEvent, in transaction: EventTransaction
    ) async throws {
        guard
            let order = try await transaction.query(
                "SELECT base, kind, origin, deal_id, journey_id, currency, tells_payments FROM sales_order WHERE id = $1 FOR UPDATE",
                [.id(report.orderId)]
            ).first
        else { throw Parked("there is no order \(report.number) here") }
        guard try order.string("base") == report.base else {
            throw Parked(
                "order \(report.number) belongs to base \(try order.string("base")), "
                    + "base \(report.base) is not authoritative for it")
        }
        let currency = try order.string("currency")
        if let total = report.total, total.currency.code != currency {
            throw Parked(
                "order \(report.number) is in \(currency), base \(report.base) reports it in \(total.currency.code)")
        }
        // In another currency than the order's they say nothing about its margin.
        func own(_ money: Money?) -> Int64? { money?.currency.code == currency ? money?.minor : nil }
        let signed = try await flags.keep(report.flags ?? [], of: order, report, event, in: transaction)
        try await transaction.query(
            """
            UPDATE sales_order SET
                status = CASE WHEN $2 THEN 'cancelled'
                    WHEN $3 THEN 'closed'
                    ELSE 'accepted' END,
                onec_number = coalesce($4, onec_number), onec_id = coalesce($5, onec_id),
                total_minor = coalesce($6, total_minor), tells_payments = coalesce($7, tells_payments),
                tells_shipments = coalesce($15, tells_shipments), paid_flag = $8, shipped_flag = $9, as_of = $10, last_event = $11, failure = NULL,
                overdue_told = overdue_told AND due_date IS NOT DISTINCT FROM coalesce($12::date, due_date),
                due_date = coalesce($12::date, due_date), cost_minor = CASE WHEN $13::bigint IS NULL AND $14::bigint IS NULL THEN cost_minor ELSE $13 END,
                revenue_minor = coalesce($14, revenue_minor),
                version = version + 1
            WHERE id = $1
            """,
            [
                .id(report.orderId), .bool(report.cancelled == true),
                .bool(signed ?? Self.closes(report.statusText)), .text(report.onecNumber), .text(report.onecId),
                .int(report.total?.minor), .bool(report.tellsPayments), .bool(report.paidFlag),
                .bool(report.shippedFlag), .time(event.at), .id(event.id), .text(report.dueDate),
                .int(own(report.cost)), .int(own(report.revenue)), .bool(report.tellsShipments),
            ])
        try await record(
            report.documents,
            Told(report.orderId, report.number, report.base, report.exchangeId, try Self.line(order, event)), event,
            in: transaction)
        if report.tellsPayments == true, try order.optionalBool("tells_payments") != true {
            try await leaveToBooks(report.orderId, report.number, event, in: transaction)
        }
        try await tell(report.orderId, event, by: .onec(base: report.base), in: transaction)
    }

    /// What another base than the order's tells of its documents: of the order itself nothing.
    private func reported(
        _ books: BooksReported, _ event: ReceivedEvent, in transaction: EventTransaction
    ) async throws {
        guard
            let order = try await transaction.query(
                "SELECT origin, journey_id, currency, tells_payments FROM sales_order WHERE id = $1 FOR UPDATE",
                [.id(books.orderId)]
            ).first
        else { throw Parked("there is no order \(books.number) here") }
        let currency = try order.string("currency")
        func own(_ money: Money?) -> Int64? { money?.currency.code == currency ? money?.minor : nil }
        try await transaction.query(
            """
            UPDATE sales_order SET tells_payments = coalesce($2, tells_payments), tells_shipments = coalesce($3, tells_shipments),
                cost_minor = CASE WHEN $4::bigint IS NULL AND $5::bigint IS NULL THEN cost_minor ELSE $4 END,
                revenue_minor = coalesce($5, revenue_minor), as_of = $6, last_event = $7, version = version + 1
            WHERE id = $1
            """,
            [
                .id(books.orderId), .bool(books.tellsPayments), .bool(books.tellsShipments), .int(own(books.cost)),
                .int(own(books.revenue)), .time(event.at), .id(event.id),
            ])
        try await record(
            books.documents,
            Told(books.orderId, books.number, books.base, books.exchangeId, try Self.line(order, event)), event,
            in: transaction)
        if books.tellsPayments == true, try order.optionalBool("tells_payments") != true {
            try await leaveToBooks(books.orderId, books.number, event, in: transaction)
        }
        try await tell(books.orderId, event, by: .onec(base: books.base), in: transaction)
    }

    /// УНФ's closing state of an order; other configurations send none.
    private static func closes(_ status: String?) -> Bool {
        guard let status = status?.lowercased() else { return false }
        return ["завершен", "завершён", "закрыт", "выполнен"].contains(status)
    }

    /// Of which order a base tells documents, and in which exchange.
    private struct Told {
        let order: ID
        let number, base: String
        let exchange: ID
        /// The line that the order stands in.
        let journey: ID?
        init(_ order: ID, _ number: String, _ base: String, _ exchange: ID, _ journey: ID?) {
            (self.order, self.number, self.base, self.exchange, self.journey) = (order, number, base, exchange, journey)
        }
    }

    private static func line(_ order: Row, _ event: ReceivedEvent) throws -> ID? {
        try order.string("origin") == "onec" ? order.optionalID("journey_id") : event.correlation
    }

    private func record(
        _ told: [ReportedDocument], _ what: Told, _ event: ReceivedEvent, in transaction: EventTransaction
    ) async throws {
        let source = OrderDocuments.Source(
            base: what.base, orderID: what.order, orderNumber: what.number, exchangeID: what.exchange, at: event.at,
            teller: .onec(base: what.base))
        for document in told {
            if let payment = try await documents.keep(document, from: source, in: transaction) {
                try transaction.emit(
                    payment, key: what.order.description, correlation: what.journey, causation: event.id,
                    notBefore: event.at)
            }
        }
    }

    // MARK: the bank's statement

    /// A payment of a bank's statement: it counts until the books tell each payment themselves.
    private func banked(
        _ allocated: BankPaymentAllocated, _ event: ReceivedEvent, in transaction: EventTransaction
    ) async throws {
        guard
            let order = try await transaction.query(
                "SELECT origin, journey_id, tells_payments FROM sales_order WHERE id = $1 FOR UPDATE",
                [.id(allocated.orderId)]
            ).first
        else { throw Parked("there is no order \(allocated.orderNumber) here") }
        let document = ReportedDocument(
            kind: allocated.kind, onecId: allocated.paymentId.description, number: allocated.number,
            date: allocated.date,
            amount: allocated.amount, posted: true, cancelled: !allocated.stands)
        let source = bank(allocated.orderId, allocated.orderNumber, allocated.exchangeId, event)
        let counts = try order.optionalBool("tells_payments") != true
        if let payment = try await documents.keep(document, from: source, counts: counts, in: transaction) {
            try transaction.emit(
                payment, key: allocated.orderId.description, correlation: try Self.line(order, event),
                causation: event.id, notBefore: event.at)
        }
        try await transaction.query(
            "UPDATE sales_order SET as_of = $2, last_event = $3, version = version + 1 WHERE id = $1",
            [.id(allocated.orderId), .time(event.at), .id(event.id)])
        try await tell(allocated.orderId, event, by: .bank, in: transaction)
    }

    private func bank(_ order: ID, _ number: String, _ exchange: ID?, _ event: ReceivedEvent) -> OrderDocuments.Source {
        OrderDocuments.Source(
            base: SuiteSettings.bankBooks, orderID: order, orderNumber: number, exchangeID: exchange, at: event.at,
            teller: .bank)
    }

    /// The base has begun to tell each payment: what the bank has told of the same money counts no longer.
    private func leaveToBooks(
        _ id: ID, _ number: String, _ event: ReceivedEvent, in transaction: EventTransaction
    ) async throws {
        guard let order = try await OrderView.load(id, in: transaction) else { return }
        for known in order.documents where known.base == SuiteSettings.bankBooks && !known.cancelled {
            let document = ReportedDocument(
                kind: known.kind, onecId: known.onecId, number: known.number, date: known.date, amount: known.amount,
                posted: known.posted, cancelled: false)
            let source = bank(id, number, known.exchangeId, event)
            if let payment = try await documents.payment(document, from: source, counts: false, in: transaction) {
                try transaction.emit(
                    payment, key: id.description, correlation: order.line(event.correlation), causation: event.id,
                    notBefore: event.at)
            }
        }
    }

    private func tell(
        _ id: ID, _ event: ReceivedEvent, by teller: Teller, in transaction: EventTransaction
    ) async throws {
        try await documents.tell(
            id, cause: event.id, journey: event.correlation, notBefore: event.at, by: teller, in: transaction)
    }
}
