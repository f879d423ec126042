import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit

/// Documents of an order as its books tell them, and what an order becomes by them.
struct OrderDocuments: Sendable {
    let live: LivePages

    /// Whether a `document c` of a `sales_order o` counts, in SQL: as ``OrderState`` has it in Swift. The bank's word counts until the books tell
    /// each payment themselves; of books, those of the base that is authoritative for such documents.
    static let counts = """
        (c.counts AND c.posted AND NOT c.cancelled
            AND NOT (c.base = '\(SuiteSettings.bankBooks)' AND coalesce(o.tells_payments, false)))
        """

    /// Whose books tell it.
    struct Source: Sendable {
        let base: String
        let orderID: ID
        let orderNumber: String
        let exchangeID: ID?
        let at: Timestamp
        let teller: Teller
    }

    /// Keeps a document. The payment or refund to be said of it; nil when nothing about money has changed.
    ///
    /// - Parameter counts: false for what another source tells of the same money.
    func keep(
        _ document: ReportedDocument, from source: Source, counts: Bool = true, in transaction: EventTransaction
    ) async throws -> PaymentRecorded? {
        let changed = try await transaction.query(
            """
            WITH old AS (SELECT counts AND posted AND NOT cancelled AS counted,
                    (number, date, amount_minor, currency) IS NOT DISTINCT FROM ($5, $6, $7, $8) AS is_same FROM document
                WHERE (base, kind, onec_id, order_id) = ($1, $2, $3, $4))
            INSERT INTO document AS d (base, kind, onec_id, order_id, number, date, amount_minor, currency,
                posted, cancelled, as_of, exchange_id, counts, link)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
            ON CONFLICT (base, kind, onec_id, order_id) DO UPDATE SET number = excluded.number, date = excluded.date,
                amount_minor = excluded.amount_minor, currency = excluded.currency,
                posted = excluded.posted, cancelled = excluded.cancelled, as_of = excluded.as_of,
                exchange_id = excluded.exchange_id, counts = excluded.counts, link = excluded.link
            WHERE (d.number, d.date, d.amount_minor, d.currency, d.posted, d.cancelled, d.counts, d.link) IS DISTINCT FROM
                (excluded.number, excluded.date, excluded.amount_minor, excluded.currency,
                 excluded.posted, excluded.cancelled, excluded.counts, excluded.link)
            RETURNING coalesce((SELECT counted FROM old), false) AS was_counted, coalesce((SELECT is_same FROM old), false) AS is_same
            """,
            [
                .text(source.base), .text(document.kind), .text(document.onecId), .id(source.orderID),
                .text(document.number), .text(document.date), .int(document.amount?.minor),
                .text(document.amount?.currency.code), .bool(document.posted),
                .bool(document.cancelled), .time(source.at), .id(source.exchangeID), .bool(document.counts != false),
                .text(document.link),
            ]
        ).first
        guard let changed,
            let payment = try await payment(document, from: source, counts: counts, in: transaction)
        else { return nil }
        // What never counted is no news of money, nor is another link to what counts as before.
        let wasCounted = try changed.bool("was_counted")
        if try wasCounted == payment.counted && changed.bool("is_same") { return nil }
        return payment.counted || wasCounted ? payment : nil
    }

    /// What is to be said of a document's money; nil when it moves none.
    func payment(
        _ document: ReportedDocument, from source: Source, counts: Bool, in transaction: EventTransaction
    ) async throws -> PaymentRecorded? {
        guard ["payment", "refund"].contains(document.kind), let amount = document.amount else { return nil }
        let (deal, organization) = try await owner(of: source.orderID, in: transaction)
        return PaymentRecorded(
            documentKey: PaymentRecorded.key(
                base: source.base, kind: document.kind, onecId: document.onecId, order: source.orderNumber),
            kind: document.kind,
            orderId: source.orderID, orderNumber: source.orderNumber, dealId: deal?.id,
            responsibleId: deal?.responsibleID, amount: amount,
            date: document.date ?? source.at.day,
            counted: counts && document.counts != false && document.posted && !document.cancelled,
            documentNumber: document.number, slice: deal?.slice ?? Slice(organization: organization),
            by: source.teller.words)
    }

    /// Whose the order is: a deal's, or only an organization's.
    private func owner(of order: ID, in transaction: EventTransaction) async throws -> (Deal?, organization: String?) {
        guard
            let row = try await transaction.query(
                "SELECT deal_id, organization FROM sales_order WHERE id = $1", [.id(order)]
            ).first
        else { return (nil, nil) }
        let organization = try row.string("organization")
        guard let id = try row.optionalID("deal_id") else { return (nil, organization) }
        return (try await Deal.find(id, in: transaction, lock: false), organization)
    }

    /// Says what the order has become; closes the journey when nothing more is expected.
    ///
    /// - Parameters:
    ///   - cause: the event that this answers, if any.
    ///   - teller: whose word it is.
    ///   - note: what a person has said with it.
    func tell(
        _ id: ID, cause: ID?, journey: ID?, notBefore: Timestamp? = nil, by teller: Teller, note: String? = nil,
        in transaction: EventTransaction
    ) async throws {
        guard let order = try await OrderView.load(id, in: transaction) else { return }
        try await Invoices.keepStep(of: order, by: teller, note: note, in: transaction)
        try await PaymentStates.keep(of: order, in: transaction)
        let deal = try await owner(of: id, in: transaction).0
        try transaction.emit(
            order.changed(deal, by: teller), key: id.description, correlation: order.line(journey), causation: cause,
            notBefore: notBefore)
        guard let journey = order.line(journey) else { return }
        if let deal, deal.outcome == "won", try await JourneyEnd.closesSettled(deal.id, journey, in: transaction) {
            try transaction.emit(
                JourneyClosed(journeyId: journey, reason: JourneyEnd.settled), key: id.description,
                correlation: journey, causation: cause, notBefore: notBefore)
        }
        transaction.afterCommit { live.changed(journey) }
    }
}
