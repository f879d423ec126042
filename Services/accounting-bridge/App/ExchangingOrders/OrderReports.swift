import Contracts
import Messaging
import Postgres
import Primitives
import Sodium
import XMLStream

/// Takes what an accounting system says of an order, whichever way it came, and says it on.
struct OrderReports: Sendable {
    let bus: EventBus

    /// One order's state. The same content again changes nothing and says nothing.
    ///
    /// - Throws: `XMLRefusal` when the order is unknown, or another base's.
    func say(
        _ report: OrderReport, _ base: String, _ exchange: ID, in transaction: EventTransaction
    ) async throws -> (words: String, isNews: Bool, journey: ID?) {
        // The base's row before the order's, as everywhere: nobody waits in a circle.
        let learned = try await learn(report, base, in: transaction)
        guard
            let order = try await transaction.query(
                """
                SELECT id, base, journey_id, last_event, report_digest, told_by, counterparty_id, inn, client, told_payments,
                    told_documents::text AS told FROM order_out WHERE number = $1 FOR UPDATE
                """, [.text(report.number)]
            ).first
        else {
            throw XMLRefusal(reason: "заказ с номером \(report.number) нам неизвестен", isIncomplete: false)
        }
        guard try order.string("base") == base else {
            throw XMLRefusal(
                reason: "заказ \(report.number) ведёт база \(try order.string("base")), а не \(base)",
                isIncomplete: false)
        }
        // One from the future was told while a clock was wrong: it cannot be newer than what comes now.
        if let newer = try order.optionalID("told_by"), newer.description > exchange.description,
            newer.description < ID.make().description
        {
            return (
                "заказ \(report.number): 1С уже прислала более новое состояние", false,
                try order.optionalID("journey_id")
            )
        }
        // What its books have once told the bank's word does not tell again.
        let tells = try learned || order.bool("told_payments")
        let id = try order.id("id")
        if let card = report.client {
            // Of an order with another's particulars the card may be one for everybody (reference 60): then a person decides.
            let isHis = try card.inn.map { try $0 == order.optionalString("inn") } ?? false
            let isCalledSo = try [card.name, card.fullName].compactMap { $0?.lowercased() }.contains(
                order.optionalString("client")?.lowercased() ?? "")
            let client = isHis || isCalledSo ? try order.optionalString("counterparty_id").flatMap { ID($0) } : nil
            try await ClientCards.learn(card, base, client: client, exchange, in: transaction)
        }
        let journey = try order.optionalID("journey_id")
        let before = try JSON.decode([ReportedDocument].self, from: try order.string("told").utf8)
        let missing = before.filter { old in
            !report.documents.contains { $0.kind == old.kind && $0.onecId == old.onecId }
        }
        // Documents that were told and are not any more: deleted, or another order's now. Only a report that tells all of them and could be read whole
        // says so; after another one they stand as they were.
        let isWhole = report.isWhole && report.refused.isEmpty
        let vanished = isWhole ? missing.filter { !$0.cancelled }.map(Self.cancelled) : []
        let known = report.documents + (isWhole ? [] : missing)
        let event = OrderReported(
            orderId: id, number: report.number, base: base, exchangeId: exchange,
            onecId: report.onecId, onecNumber: report.onecNumber, posted: report.posted,
            cancelled: report.cancelled, statusText: report.statusText, total: report.total,
            paidFlag: report.paidFlag, shippedFlag: report.shippedFlag, tellsPayments: tells,
            documents: report.documents + vanished, dueDate: report.dueDate, revenue: report.revenue,
            cost: report.cost,
            flags: report.flags.isEmpty ? nil : report.flags, by: "1С \(base)")
        if report.refused.isEmpty {
            // What could not be understood of this order before is told anew by this.
            try await transaction.query(
                """
                UPDATE parked_document SET settled_at = now(), settled_by = '1С прислала заново'
                WHERE base = $1 AND number = $2 AND settled_at IS NULL AND exchange_id < $3
                """, [.text(base), .text(report.number), .id(exchange)])
        }
        let digest = try sha256(JSON.encode(Digest(event, report)))
        if try vanished.isEmpty && order.optionalBytes("report_digest") == digest {
            // What still could not be read whole is not told yet: read again, it may be.
            if report.refused.isEmpty {
                try await transaction.query(
                    "UPDATE order_out SET told_by = $2 WHERE id = $1", [.id(id), .id(exchange)])
            }
            return ("заказ \(report.number): без изменений", false, journey)
        }
        // A first report is no change.
        if try order.optionalBytes("report_digest") != nil {
            LateChanges.keep(
                DocumentChange.between(before, known + vanished), order: report.number, base, exchange, in: transaction)
        }
        let said = try transaction.emit(
            event, key: id.description, correlation: journey, causation: try order.id("last_event"))
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
                .id(id), .bytes(digest), .text(report.onecId), .id(said), .text(report.onecNumber),
                .text(try report.total.map { try JSON.text($0) }), .text(try JSON.text(known)),
                .bool(report.cancelled), .bool(report.posted),
                .bool(tells), .bool(report.paidFlag == true), .id(exchange),
            ])
        let sums = report.documents.compactMap { document in
            document.amount.map { "\(Self.kinds[document.kind] ?? document.kind) \(HumanText.money($0))" }
        }
        let words = "заказ \(report.number) = \(report.onecNumber ?? "без номера 1С")"
        return (([words] + sums).joined(separator: ", "), true, journey)
    }

    private static func cancelled(_ document: ReportedDocument) -> ReportedDocument {
        ReportedDocument(
            kind: document.kind, onecId: document.onecId, number: document.number, date: document.date,
            amount: document.amount, posted: document.posted, cancelled: true)
    }

    static let kinds = [
        "payment": "оплата", "refund": "возврат денег", "shipment": "отгрузка", "return": "возврат товара",
        "invoice": "счёт",
    ]

    /// Everything of a report but the exchange it came in.
    private struct Digest: Encodable {
        let onecId, onecNumber, statusText, dueDate: String?
        let posted, cancelled, paidFlag, shippedFlag: Bool?
        let total, revenue, cost: Money?
        let tellsPayments: Bool
        let documents: [ReportedDocument]
        let refused: [String]
        let flags: [ReportedFlag]?
        init(_ r: OrderReported, _ report: OrderReport) {
            refused = report.refused
            // Not with what has vanished since: the same told again is no news.
            documents = report.documents
            flags = r.flags
            (onecId, onecNumber, statusText, dueDate) = (r.onecId, r.onecNumber, r.statusText, r.dueDate)
            (posted, cancelled, paidFlag, shippedFlag) = (r.posted, r.cancelled, r.paidFlag, r.shippedFlag)
            (total, revenue, cost, tellsPayments) = (r.total, r.revenue, r.cost, r.tellsPayments)
        }
    }

    /// A base that has once sent payments as documents of their own is known to tell them; a system that is asked for them says itself, each time.
    private func learn(_ report: OrderReport, _ base: String, in transaction: EventTransaction) async throws
        -> Bool
    {
        try await transaction.query(
            """
            INSERT INTO base_state AS b (base, tells_payments) VALUES ($1, $2)
            ON CONFLICT (base) DO UPDATE SET tells_payments = excluded.tells_payments OR (b.tells_payments AND NOT $3::boolean)
            RETURNING tells_payments
            """, [.text(base), .bool(report.tellsPayments), .bool(report.isAsked)]
        )[0].bool("tells_payments")
    }
}
