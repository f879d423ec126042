import Contracts
import Messaging
import Postgres
import Primitives
import Sodium
import Synchronization
import XMLStream

/// Takes what an accounting system says of an order, whichever way it came, and says it on.
struct OrderReports: Sendable {
    let bus: EventBus
    let authority: BookAuthority
    let births: OrderBirths
    /// That what was told before is marked by the present settings; nothing is read before that.
    private let marked = Marked()

    init(bus: EventBus, authority: BookAuthority, births: OrderBirths) {
        (self.bus, self.authority, self.births) = (bus, authority, births)
    }

    private final class Marked: Sendable {
        private let isIt = Mutex(false)
        var value: Bool { isIt.withLock { $0 } }
        func set() { isIt.withLock { $0 = true } }
    }

    func isMarked() async throws -> Bool {
        if marked.value { return true }
        guard try await isAuthorityKnown() else { return false }
        marked.set()
        return true
    }

    /// What came of a report.
    struct Said: Sendable {
        /// What the order is called here.
        let number: String
        let words: String
        let isNews: Bool
        let journey: ID?
    }

    /// The order that a report speaks of, locked, as it was told last.
    struct Known {
        let row: Row
        let id: ID
        let base, organization: String
        let journey: ID?
        var documents: ToldDocuments
        /// Its payments are told as documents, by the base that keeps them.
        let tellsPayments: Bool

        init(_ row: Row) throws {
            self.row = row
            (id, journey) = (try row.id("id"), try row.optionalID("journey_id"))
            (base, organization) = (try row.string("base"), try row.string("organization"))
            documents = ToldDocuments(
                all: try JSON.decode([ReportedDocument].self, from: try row.string("told").utf8))
            tellsPayments = try row.bool("told_payments")
        }

        /// Its own document, as it was told.
        var own: ToldOrder {
            get throws {
                ToldOrder(
                    total: try row.optionalString("total").map { try JSON.decode(Money.self, from: $0.utf8) },
                    posted: try row.optionalBool("told_posted"), cancelled: try row.bool("told_cancelled"))
            }
        }
    }

    /// One order's state. The same content again changes nothing and says nothing.
    ///
    /// - Throws: `XMLRefusal` when the order is unknown, or the base has no say in it.
    func say(
        _ told: OrderReport, _ base: String, _ exchange: ID, in transaction: EventTransaction
    ) async throws -> Said {
        // The base's row before the order's, as everywhere: nobody waits in a circle.
        let tells = try await learn(told, base, in: transaction)
        var report = told
        if let born = told.born {
            guard let number = try await births.take(born, base, exchange, in: transaction) else {
                return Said(
                    number: told.number, words: "заказ \(told.number) сделан в 1С и не берётся", isNews: false,
                    journey: nil)
            }
            report.number = number
        }
        guard
            let row = try await transaction.query(
                """
                SELECT id, base, origin, journey_id, last_event, state, sent_at, report_digest, told_by, counterparty_id, inn, client, told_payments, onec_id,
                    request ->> 'organization' AS organization, told_documents::text AS told,
                    told_total::text AS total, told_posted, told_cancelled, onec_number
                FROM order_out WHERE number = $1 FOR UPDATE
                """, [.text(report.number)]
            ).first
        else {
            throw XMLRefusal(reason: "заказ с номером \(report.number) нам неизвестен", isIncomplete: false)
        }
        var order = try Known(row)
        guard order.base == base else {
            guard authority.others(order.organization, order: order.base).contains(base) else {
                throw XMLRefusal(
                    reason: "заказ \(report.number) ведёт база \(order.base), а не \(base)", isIncomplete: false)
            }
            return try await say(ofOther: report, base, tells, &order, exchange, in: transaction)
        }
        if try Self.isOlder(exchange, than: row.optionalID("told_by")) { return Self.isOld(report, order) }
        try await learnClient(report, base, order, exchange, in: transaction)
        let told = report.documents.map {
            authority.mark($0, by: base, order.organization, order: base)
        }
        let (before, vanished) = order.documents.tell(told, by: nil, isWhole: report.isWhole && report.refused.isEmpty)
        let keeps = keeps(base, order)
        // What its books have once told the bank's word does not tell again.
        let tellsPayments = keeps.payments ? tells || order.tellsPayments : order.tellsPayments
        // Who does not say so apart tells both or neither.
        let tellsShipments = report.tellsShipments ?? (keeps.payments ? tellsPayments : tells)
        // What is far too long for an id is none.
        let onecId = report.onecId.flatMap { $0.utf8.count <= OrderReport.idLimit ? $0 : nil }
        let event = OrderReported(
            orderId: order.id, number: report.number, base: base, exchangeId: exchange,
            onecId: onecId, onecNumber: report.onecNumber, posted: report.posted,
            cancelled: report.cancelled, statusText: report.statusText, total: report.total,
            paidFlag: keeps.payments ? report.paidFlag : nil, shippedFlag: keeps.shipments ? report.shippedFlag : nil,
            tellsPayments: keeps.payments ? tellsPayments : nil,
            tellsShipments: keeps.shipments ? tellsShipments : nil,
            documents: told + vanished, dueDate: report.dueDate, revenue: keeps.shipments ? report.revenue : nil,
            cost: keeps.shipments ? report.cost : nil,
            flags: report.flags.isEmpty ? nil : report.flags, by: "1С \(base)")
        try await settle(report, base, exchange, in: transaction)
        // Not with what has vanished since: the same told again is no news.
        let digest = try Self.digest(event, told.map(\.content), report)
        let isKnown = try vanished.isEmpty && row.optionalBytes("report_digest") == digest
        // What is only marked otherwise, or has another link, is said and is no news.
        if isKnown, told.allSatisfy(before.contains) {
            // What still could not be read whole is not told yet: read again, it may be.
            if report.refused.isEmpty {
                try await transaction.query(
                    "UPDATE order_out SET told_by = $2 WHERE id = $1", [.id(order.id), .id(exchange)])
            }
            return Said(
                number: report.number, words: "заказ \(report.number): без изменений", isNews: false,
                journey: order.journey)
        }
        // A first report is no change.
        if try row.optionalBytes("report_digest") != nil {
            let own = DocumentChange.between(
                try order.own, ToldOrder(total: report.total, posted: report.posted, cancelled: report.cancelled),
                onecId: try onecId ?? row.optionalString("onec_id") ?? order.id.description,
                number: try report.onecNumber ?? row.optionalString("onec_number"))
            LateChanges.keep(
                own + DocumentChange.between(before, told + vanished), order: report.number, base, exchange,
                since: try row.optionalID("told_by"), in: transaction)
        }
        var cause = try row.id("last_event")
        // It tells of what we were still giving it, or looking for: that it has it is said by nobody else.
        if try !["sent", "withdrawn"].contains(row.string("state")), try row.optionalTime("sent_at") == nil {
            cause = try transaction.emit(
                OrderSent(
                    orderId: order.id, number: report.number, base: base, exchangeId: exchange, by: "1С \(base)"),
                key: order.id.description, correlation: order.journey, causation: cause)
        }
        let said = try transaction.emit(
            event, key: order.id.description, correlation: order.journey, causation: cause)
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
                .id(order.id), .bytes(digest), .text(onecId), .id(said), .text(report.onecNumber),
                .text(try report.total.map { try JSON.text($0) }), .text(try JSON.text(order.documents.all)),
                .bool(report.cancelled), .bool(report.posted),
                .bool(tellsPayments), .bool(event.paidFlag == true), .id(exchange),
            ])
        if let onecId, try row.optionalString("onec_id") == nil {
            try await Self.link(order.id, knownAs: onecId, in: transaction)
        }
        let words = "заказ \(report.number) = \(report.onecNumber ?? "без номера 1С")"
        return Said(
            number: report.number, words: ([words] + told.compactMap(Self.words)).joined(separator: ", "),
            isNews: !isKnown,
            journey: order.journey)
    }

    // MARK: what reports of all bases have in common

    /// Whether what was told by this exchange is older news than what is known. One from the future was told while a clock was wrong: it cannot be newer
    /// than what comes now.
    static func isOlder(_ exchange: ID, than known: ID?) -> Bool {
        known.map { $0.description > exchange.description && $0.description < ID.make().description } ?? false
    }

    static func isOld(_ report: OrderReport, _ order: Known) -> Said {
        Said(
            number: report.number, words: "заказ \(report.number): 1С уже прислала более новое состояние",
            isNews: false,
            journey: order.journey)
    }

    func keeps(_ base: String, _ order: Known) -> (payments: Bool, shipments: Bool) {
        func keeps(_ kind: String) -> Bool {
            authority.keeper(of: kind, order.organization, order: order.base) == base
        }
        return (keeps("payment"), keeps("shipment"))
    }

    /// The card that a document names.
    func learnClient(
        _ report: OrderReport, _ base: String, _ order: Known, _ exchange: ID, in transaction: EventTransaction
    ) async throws {
        guard let card = report.client else { return }
        // Of an order with another's particulars the card may be one for everybody (reference 60): then a person decides.
        let isHis = try card.inn.map { try $0 == order.row.optionalString("inn") } ?? false
        let isCalledSo = try [card.name, card.fullName].compactMap { $0?.lowercased() }.contains(
            order.row.optionalString("client")?.lowercased() ?? "")
        // One that was made there is for whom the card says; whose the card is the CRM decides.
        let isOurs = try order.row.string("origin") == "crm"
        let client =
            isOurs && (isHis || isCalledSo) ? try order.row.optionalString("counterparty_id").flatMap { ID($0) } : nil
        try await ClientCards.learn(card, base, client: client, exchange, in: transaction)
    }

    /// What could not be understood of this order before is told anew.
    func settle(
        _ report: OrderReport, _ base: String, _ exchange: ID, in transaction: EventTransaction
    ) async throws {
        guard report.refused.isEmpty else { return }
        try await transaction.query(
            """
            UPDATE parked_document SET settled_at = now(), settled_by = '1С прислала заново'
            WHERE base = $1 AND number = ANY($2::text[]) AND settled_at IS NULL AND exchange_id < $3
            """,
            [.text(base), .texts([report.number] + [report.born?.number].compactMap { $0 }), .id(exchange)])
    }

    static func words(_ document: ReportedDocument) -> String? {
        document.amount.map { amount in
            "\(kinds[document.kind] ?? document.kind) \(HumanText.money(amount))"
                + (document.counts == false ? " (не учитывается)" : "")
        }
    }

    static let kinds = [
        "payment": "оплата", "refund": "возврат денег", "shipment": "отгрузка", "return": "возврат товара",
        "invoice": "счёт", DocumentChange.order: "заказ",
    ]

    private static func digest(_ event: OrderReported, _ told: [ReportedDocument], _ report: OrderReport) throws
        -> [UInt8]
    {
        try sha256(JSON.encode(Digest(event, told, report)))
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
