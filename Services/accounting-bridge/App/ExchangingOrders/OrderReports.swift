import Contracts
import Messaging
import Postgres
import Primitives
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

        /// Asked before the order was to be given, or given again, it is no word on whether the system has it, nor on what has become of it: a
        /// base that was restored meanwhile has lost what the question still found.
        func isOutdated(_ askedAt: Timestamp?) throws -> Bool {
            guard let askedAt else { return false }
            return try row.optionalTime("ready_since").map { $0 > askedAt } ?? false
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
    /// - Parameter askedAt: when the system was asked, by the database's clock; nil when it told by itself.
    /// - Throws: `XMLRefusal` when the order is unknown, or the base has no say in it.
    func say(
        _ heard: OrderReport, _ base: String, _ exchange: ID, askedAt: Timestamp? = nil,
        in transaction: EventTransaction
    ) async throws -> Said {
        // The base's row before the order's, as everywhere: nobody waits in a circle.
        let tells = try await learn(heard, base, in: transaction)
        var report = heard
        if let born = heard.born {
            guard let number = try await births.take(born, base, exchange, in: transaction) else {
                return Said(
                    number: heard.number, words: "заказ \(heard.number) сделан в 1С и не берётся", isNews: false,
                    journey: nil)
            }
            report.number = number
        }
        var order = try await find(report.number, in: transaction)
        if order.base == base, try order.isOutdated(askedAt) {
            return Said(
                number: report.number, words: "заказ \(report.number): 1С спросили раньше, чем его отдавали снова",
                isNews: false,
                journey: order.journey)
        }
        if order.base == base { return try await say(ofOwn: report, base, tells, &order, exchange, in: transaction) }
        guard authority.others(order.organization, order: order.base).contains(base) else {
            throw XMLRefusal(
                reason: "заказ \(report.number) ведёт база \(order.base), а не \(base)", isIncomplete: false)
        }
        return try await say(ofOther: report, base, tells, &order, exchange, in: transaction)
    }

    private func find(_ number: String, in transaction: EventTransaction) async throws -> Known {
        let row = try await transaction.query(
            """
            SELECT id, base, origin, journey_id, last_event, state, sent_at, ready_since, report_digest, told_by, counterparty_id, inn, client, told_payments, onec_id,
                request ->> 'organization' AS organization, told_documents::text AS told,
                told_total::text AS total, told_posted, told_cancelled, onec_number
            FROM order_out WHERE number = $1 FOR UPDATE
            """, [.text(number)]
        ).first
        guard let row else {
            throw XMLRefusal(reason: "заказ с номером \(number) нам неизвестен", isIncomplete: false)
        }
        return try Known(row)
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
