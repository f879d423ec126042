import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit

/// Links payments of bank statements to orders, and says so: by rule when a statement comes, again when an order moves, and by a
/// person's hand. One at a time over the whole bridge: two payments must not be matched to the same rest of an order.
struct BankMatching: Sendable {
    let bus: EventBus

    /// Candidates that one payment is weighed against at most.
    private static let candidateLimit = 500
    private static let lockKey = 0x6261_6E6B

    /// Takes the turn until the transaction ends.
    static func takeTurn(in transaction: EventTransaction) async throws {
        try await transaction.query("SELECT pg_advisory_xact_lock(hashtext(current_schema()), \(lockKey))")
    }

    // MARK: by rule

    /// Decides on a payment that came in and is not matched yet.
    func decide(_ payment: BankPayment, by: String?, in transaction: EventTransaction) async throws {
        let purpose = PaymentMatching.Purpose(payment.purpose)
        let remembered = try await remembered(payment, in: transaction)
        let candidates = try await candidates(
            """
            o.inn = $1 OR o.counterparty_id = ANY($2::text[]) OR o.number = ANY($3::text[])
            OR o.onec_bare = ANY($3::text[]) OR upper(o.onec_number) = ANY($4::text[])
            """,
            [
                .text(payment.payer.inn), .texts(remembered.map(\.description)), .texts(Array(purpose.numbers)),
                .texts(Array(purpose.words)),
            ], in: transaction)
        let outcome = PaymentMatching.decide(
            .init(
                amount: payment.amount, date: payment.date, number: payment.number, payerINN: payment.payer.inn,
                purpose: payment.purpose, organization: payment.organization),
            candidates, remembered: remembered)
        switch outcome {
        case .matched(let allocations, let rule):
            try await put(allocations, rule, payment, by: by, in: transaction)
        case .unmatched(let reason):
            transaction.write(
                """
                UPDATE bank_payment SET state = 'unmatched', reason = $2, version = version + 1
                WHERE id = $1 AND (state, reason) IS DISTINCT FROM ('unmatched', $2)
                """,
                [.id(payment.id), .text(reason)])
        }
    }

    private func remembered(_ payment: BankPayment, in transaction: EventTransaction) async throws -> Set<ID> {
        guard let key = payment.payerKey else { return [] }
        let rows = try await transaction.query(
            "SELECT counterparty_id FROM payer_memory WHERE payer = $1", [.text(key)])
        return Set(try rows.compactMap { ID(try $0.string("counterparty_id")) })
    }

    private func candidates(
        _ condition: String, _ parameters: [Parameter], in transaction: EventTransaction
    ) async throws -> [PaymentMatching.Candidate] {
        let rows = try await transaction.query(
            """
            SELECT o.id, o.number, o.onec_number, o.inn, o.request::text AS request, o.told_total::text AS told_total,
                o.told_documents::text AS told_documents,
                o.told_paid
            FROM order_out o WHERE o.id IN (
                SELECT o.id FROM order_out o WHERE NOT o.told_cancelled AND o.state <> 'withdrawn' AND (\(condition))
                ORDER BY o.requested_at DESC LIMIT \(Self.candidateLimit))
            ORDER BY o.requested_at, o.number FOR UPDATE
            """, parameters)
        let shares = try await transaction.query(
            """
            SELECT a.order_id, a.amount_minor, p.direction, count(*) AS n
            FROM bank_allocation a JOIN bank_payment p ON p.id = a.payment_id
            WHERE a.order_id = ANY($1::text[]::uuid[]) GROUP BY a.order_id, a.amount_minor, p.direction
            """, [.texts(try rows.map { try $0.string("id") })])
        let byOrder = try Dictionary(grouping: shares) { try $0.id("order_id") }
        return try rows.map { try Self.candidate($0, byOrder[try $0.id("id")] ?? []) }
    }

    private static func candidate(_ row: Row, _ shares: [Row]) throws -> PaymentMatching.Candidate {
        let terms = try JSON.decode(OrderTerms.self, from: try row.string("request").utf8)
        let total =
            try row.optionalString("told_total").map { try JSON.decode(Money.self, from: $0.utf8) } ?? terms.total
        let documents = try JSON.decode([ReportedDocument].self, from: try row.string("told_documents").utf8)
            .filter { $0.posted && !$0.cancelled && $0.counts != false && $0.amount?.currency == total.currency }
        var (told, toldPaid, banked) = ([PaymentMatching.Candidate.Told](), Int64(0), Int64(0))
        for document in documents {
            guard let amount = document.amount else { continue }
            switch document.kind {
            case "payment":
                toldPaid = toldPaid.addingReportingOverflow(amount.minor).partialValue
                told.append(.init(number: document.number, date: document.date, amount: amount))
            case "refund": toldPaid = toldPaid.subtractingReportingOverflow(amount.minor).partialValue
            default: break
            }
        }
        for share in shares {
            let (sum, count) = (try share.int("amount_minor"), try share.int("n"))
            let isIncome = try share.string("direction") == "in"
            banked += (isIncome ? sum : -sum) * count
            guard isIncome else { continue }
            for _ in 0..<count {
                guard let index = told.firstIndex(where: { $0.amount.minor == sum }) else { break }
                told.remove(at: index)
            }
        }
        return .init(
            id: try row.id("id"), number: try row.string("number"), onecNumber: try row.optionalString("onec_number"),
            inn: try row.optionalString("inn"), counterparty: terms.counterparty.id,
            organization: terms.organization,
            owed: total - Money(minor: max(toldPaid, banked), currency: total.currency), told: told,
            isPaid: try row.bool("told_paid"))
    }

    // MARK: by hand

    struct Share: Decodable, Sendable {
        let orderNumber: String
        /// All of the payment that is left when absent.
        let amount: Money?
    }

    /// A person says which orders a payment is for; who pays for whom is remembered from then on.
    func match(_ id: ID, _ shares: [Share], by caller: Caller, in transaction: EventTransaction) async throws {
        try await Self.takeTurn(in: transaction)
        let payment = try await known(id, in: transaction)
        guard payment.state != "vanished" else {
            throw Problem.conflict("the document is no longer in the bank's statement")
        }
        guard (1...100).contains(shares.count) else { throw Problem.invalid("orders has 1 to 100 entries") }
        var left = payment.amount
        var allocations: [PaymentMatching.Allocation] = []
        for share in shares {
            let found = try await candidates("o.number = $1", [.text(share.orderNumber)], in: transaction)
            guard let order = found.first else {
                throw Problem.invalid("there is no open order \(share.orderNumber)")
            }
            let amount = share.amount ?? left
            guard amount.currency == payment.amount.currency, order.owed.currency == amount.currency else {
                throw Problem.invalid("payment and order \(order.number) are in different currencies")
            }
            guard amount.minor > 0, amount.minor <= left.minor else {
                throw Problem.invalid("the shares are above zero and at most \(payment.amount.amount) together")
            }
            guard !allocations.contains(where: { $0.order == order.id }) else {
                throw Problem.invalid("order \(order.number) is named twice")
            }
            left = left - amount
            allocations.append(.init(order: order.id, number: order.number, amount: amount))
            try await remember(payment, order.counterparty, by: caller, in: transaction)
        }
        try await Self.take(back: payment, except: Set(allocations.map(\.order)), by: caller.name, in: transaction)
        try await put(allocations, .person, payment, by: caller.name, in: transaction)
    }

    private func remember(
        _ payment: BankPayment, _ counterparty: ID, by caller: Caller, in transaction: EventTransaction
    ) async throws {
        guard let key = payment.payerKey else { return }
        try await transaction.query(
            "INSERT INTO payer_memory (payer, counterparty_id, by_whom) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            [.text(key), .text(counterparty.description), .text(caller.name)])
    }

    /// A match made wrongly is undone; the payment waits for a person, and what was remembered by it is forgotten.
    func unmatch(_ id: ID, by caller: Caller, in transaction: EventTransaction) async throws {
        try await Self.takeTurn(in: transaction)
        let payment = try await known(id, in: transaction)
        guard payment.state == "matched" else { throw Problem.conflict("the payment is not matched") }
        if let key = payment.payerKey {
            try await transaction.query(
                """
                DELETE FROM payer_memory WHERE payer = $1 AND counterparty_id IN (
                    SELECT o.counterparty_id FROM bank_allocation a JOIN order_out o ON o.id = a.order_id
                    WHERE a.payment_id = $2)
                """, [.text(key), .id(id)])
        }
        try await Self.take(back: payment, by: caller.name, in: transaction)
        transaction.write(
            "UPDATE bank_payment SET state = $2, reason = $3, left_to_person = true, version = version + 1 WHERE id = $1",
            [
                .id(id), .text(payment.isIncome ? "unmatched" : "outgoing"),
                .text("сопоставление отменил: \(caller.name)"),
            ])
    }

    /// Its order is no more: what was matched to it waits anew. The turn is taken already.
    static func release(_ id: ID, of order: ID, by: String, in transaction: EventTransaction) async throws {
        guard let payment = try await BankPayment.find(id, in: transaction) else { return }
        let others = Set(payment.allocations.map(\.orderId)).subtracting([order])
        try await Self.take(back: payment, except: others, by: by, in: transaction)
        guard others.isEmpty else { return }
        transaction.write(
            "UPDATE bank_payment SET state = $2, reason = 'заказ, к которому она относилась, отменён', version = version + 1 WHERE id = $1",
            [.id(id), .text(payment.isIncome ? "unmatched" : "outgoing")])
    }

    private func known(_ id: ID, in transaction: EventTransaction) async throws -> BankPayment {
        guard let payment = try await BankPayment.find(id, in: transaction) else { throw Problem.notFound("payment") }
        return payment
    }

    // MARK: saying it

    private func put(
        _ allocations: [PaymentMatching.Allocation], _ rule: PaymentMatching.Rule, _ payment: BankPayment, by: String?,
        in transaction: EventTransaction
    ) async throws {
        for allocation in allocations {
            try await transaction.query(
                """
                INSERT INTO bank_allocation (payment_id, order_id, amount_minor, rule, by_whom)
                VALUES ($1, $2, $3, $4, $5)
                ON CONFLICT (payment_id, order_id) DO UPDATE SET amount_minor = excluded.amount_minor,
                    rule = excluded.rule, by_whom = excluded.by_whom, at = now()
                """,
                [
                    .id(payment.id), .id(allocation.order), .int(allocation.amount.minor), .text(rule.rawValue),
                    .text(by),
                ])
            try await Self.say(payment, allocation, rule.rawValue, stands: true, by: by, in: transaction)
        }
        transaction.write(
            "UPDATE bank_payment SET state = 'matched', reason = NULL, version = version + 1 WHERE id = $1",
            [.id(payment.id)])
    }

    /// Undoes the payment's allocations but those to `except`.
    static func take(
        back payment: BankPayment, except: Set<ID> = [], by: String?, in transaction: EventTransaction
    ) async throws {
        for share in payment.allocations where !except.contains(share.orderId) {
            try await transaction.query(
                "DELETE FROM bank_allocation WHERE payment_id = $1 AND order_id = $2",
                [.id(payment.id), .id(share.orderId)])
            // Others that wait may be for what is owed again.
            try await transaction.query("UPDATE order_out SET match_again = true WHERE id = $1", [.id(share.orderId)])
            let allocation = PaymentMatching.Allocation(
                order: share.orderId, number: share.orderNumber, amount: share.amount)
            try await Self.say(payment, allocation, share.rule, stands: false, by: by, in: transaction)
        }
    }

    private static func say(
        _ payment: BankPayment, _ allocation: PaymentMatching.Allocation, _ rule: String, stands: Bool, by: String?,
        in transaction: EventTransaction
    ) async throws {
        let order = try await transaction.query(
            "SELECT journey_id, last_event FROM order_out WHERE id = $1", [.id(allocation.order)])[0]
        let event = try transaction.emit(
            BankPaymentAllocated(
                paymentId: payment.id, orderId: allocation.order, orderNumber: allocation.number,
                kind: payment.isIncome ? "payment" : "refund", amount: allocation.amount, date: payment.date,
                number: payment.number.isEmpty ? nil : payment.number, payer: payment.payer.name,
                purpose: String(payment.purpose.prefix(500)), stands: stands, rule: rule,
                exchangeId: payment.exchangeId,
                by: by ?? "выписка банка"),
            key: allocation.order.description, correlation: try order.optionalID("journey_id"),
            causation: try order.id("last_event"))
        try await transaction.query(
            "UPDATE order_out SET last_event = $2 WHERE id = $1", [.id(allocation.order), .id(event)])
    }
}
