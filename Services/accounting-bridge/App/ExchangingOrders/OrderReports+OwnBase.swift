import Contracts
import Messaging
import Postgres
import Primitives
import Sodium

/// What a base tells of an order that was given to it.
extension OrderReports {
    func say(
        ofOwn report: OrderReport, _ base: String, _ tells: Bool, _ order: inout Known, _ exchange: ID,
        in transaction: EventTransaction
    ) async throws -> Said {
        if try Self.isOlder(exchange, than: order.row.optionalID("told_by")) { return Self.isOld(report, order) }
        try await learnClient(report, base, order, exchange, in: transaction)
        let news = try compare(report, base, tells, &order, exchange)
        try await settle(report, base, exchange, in: transaction)
        guard news.saysSomething else { return try await leave(report, order, exchange, in: transaction) }
        try keepChanges(news, order, in: transaction)
        let said = try transaction.emit(
            news.event, key: order.id.description, correlation: order.journey,
            causation: try sayThatItHasIt(news, order, in: transaction))
        try await keep(news, order, said, in: transaction)
        let words = "заказ \(report.number) = \(report.onecNumber ?? "без номера 1С")"
        return Said(
            number: report.number, words: ([words] + news.told.compactMap(Self.words)).joined(separator: ", "),
            isNews: !news.isKnown, journey: order.journey)
    }

    /// What a report comes to beside what was told before.
    private struct News {
        let report: OrderReport
        let event: OrderReported
        /// Its documents now, and all that were known before.
        let told, before: [ReportedDocument]
        let digest: [UInt8]
        let tellsPayments: Bool
        /// The same has been told before.
        let isKnown: Bool

        /// What is only marked otherwise, or has another link, is said and is no news.
        var saysSomething: Bool { !isKnown || !told.allSatisfy(before.contains) }
    }

    private func compare(
        _ report: OrderReport, _ base: String, _ tells: Bool, _ order: inout Known, _ exchange: ID
    ) throws -> News {
        let organization = order.organization
        let told = report.documents.map { authority.mark($0, by: base, organization, order: base) }
        let (before, vanished) = order.documents.tell(told, by: nil, isWhole: report.isWhole && report.refused.isEmpty)
        let keeps = keeps(base, order)
        // What its books have once told the bank's word does not tell again.
        let tellsPayments = keeps.payments ? tells || order.tellsPayments : order.tellsPayments
        // Who does not say so apart tells both or neither.
        let tellsShipments = report.tellsShipments ?? (keeps.payments ? tellsPayments : tells)
        let event = OrderReported(
            orderId: order.id, number: report.number, base: base, exchangeId: exchange,
            // What is far too long for an id is none.
            onecId: report.onecId.flatMap { $0.utf8.count <= OrderReport.idLimit ? $0 : nil },
            onecNumber: report.onecNumber, posted: report.posted, cancelled: report.cancelled,
            statusText: report.statusText, total: report.total,
            paidFlag: keeps.payments ? report.paidFlag : nil, shippedFlag: keeps.shipments ? report.shippedFlag : nil,
            tellsPayments: keeps.payments ? tellsPayments : nil,
            tellsShipments: keeps.shipments ? tellsShipments : nil,
            documents: told + vanished, dueDate: report.dueDate, revenue: keeps.shipments ? report.revenue : nil,
            cost: keeps.shipments ? report.cost : nil,
            flags: report.flags.isEmpty ? nil : report.flags, by: "1С \(base)")
        // Not with what has vanished since: the same told again is no news.
        let digest = try sha256(JSON.encode(Digest(event, told.map(\.content), report)))
        return News(
            report: report, event: event, told: told, before: before, digest: digest, tellsPayments: tellsPayments,
            isKnown: try vanished.isEmpty && order.row.optionalBytes("report_digest") == digest)
    }

    /// Everything of a report but the exchange it came in.
    private struct Digest: Encodable {
        let onecId, onecNumber, statusText, dueDate: String?
        let posted, cancelled, paidFlag, shippedFlag: Bool?
        let total, revenue, cost: Money?
        let tellsPayments: Bool?
        let documents: [ReportedDocument]
        let refused: [String]
        let flags: [ReportedFlag]?
        init(_ r: OrderReported, _ told: [ReportedDocument], _ report: OrderReport) {
            (refused, documents, flags) = (report.refused, told, r.flags)
            (onecId, onecNumber, statusText, dueDate) = (r.onecId, r.onecNumber, r.statusText, r.dueDate)
            (posted, cancelled, paidFlag, shippedFlag) = (r.posted, r.cancelled, r.paidFlag, r.shippedFlag)
            (total, revenue, cost, tellsPayments) = (r.total, r.revenue, r.cost, r.tellsPayments)
        }
    }

    /// It was told before. What still could not be read whole is not told yet: read again, it may be.
    private func leave(
        _ report: OrderReport, _ order: Known, _ exchange: ID, in transaction: EventTransaction
    ) async throws -> Said {
        if report.refused.isEmpty {
            try await transaction.query(
                "UPDATE order_out SET told_by = $2 WHERE id = $1", [.id(order.id), .id(exchange)])
        }
        return Said(
            number: report.number, words: "заказ \(report.number): без изменений", isNews: false, journey: order.journey
        )
    }

    /// A first report is no change.
    private func keepChanges(_ news: News, _ order: Known, in transaction: EventTransaction) throws {
        guard try order.row.optionalBytes("report_digest") != nil else { return }
        let event = news.event
        let own = DocumentChange.between(
            try order.own, ToldOrder(total: event.total, posted: event.posted, cancelled: news.report.cancelled),
            onecId: try event.onecId ?? order.row.optionalString("onec_id") ?? order.id.description,
            number: try event.onecNumber ?? order.row.optionalString("onec_number"))
        LateChanges.keep(
            own + DocumentChange.between(news.before, event.documents), order: event.number, event.base,
            event.exchangeId, since: try order.row.optionalID("told_by"), in: transaction)
    }

    /// It tells of what we were still giving it, or looking for: that it has it is said by nobody else.
    ///
    /// - Returns: what its report answers.
    private func sayThatItHasIt(_ news: News, _ order: Known, in transaction: EventTransaction) throws -> ID {
        let cause = try order.row.id("last_event")
        guard try !["sent", "withdrawn"].contains(order.row.string("state")),
            try order.row.optionalTime("sent_at") == nil
        else { return cause }
        let event = news.event
        return try transaction.emit(
            OrderSent(
                orderId: order.id, number: event.number, base: event.base, exchangeId: event.exchangeId, by: event.by),
            key: order.id.description, correlation: order.journey, causation: cause)
    }

    private func keep(_ news: News, _ order: Known, _ said: ID, in transaction: EventTransaction) async throws {
        let event = news.event
        try await transaction.query(
            """
            UPDATE order_out SET report_digest = $2, onec_id = coalesce($3, onec_id), last_event = $4,
                onec_number = coalesce($5, onec_number), told_total = coalesce($6::jsonb, told_total),
                told_documents = $7::jsonb, told_cancelled = $8, told_posted = coalesce($9, told_posted), told_payments = $10, told_paid = $11,
                told_by = $12,
                match_again = true, state = 'sent',
                -- Why it could not be posted holds as long as it is not.
                reason = CASE WHEN $9::boolean IS FALSE AND state = 'sent' THEN reason END,
                sent_at = coalesce(sent_at, now()) WHERE id = $1
            """,
            [
                .id(order.id), .bytes(news.digest), .text(event.onecId), .id(said), .text(event.onecNumber),
                .text(try event.total.map { try JSON.text($0) }), .text(try JSON.text(order.documents.all)),
                .bool(news.report.cancelled), .bool(event.posted),
                .bool(news.tellsPayments), .bool(event.paidFlag == true), .id(event.exchangeId),
            ])
        if let onecId = event.onecId, try order.row.optionalString("onec_id") == nil {
            try await Self.link(order.id, knownAs: onecId, in: transaction)
        }
    }
}
