import Postgres
import Primitives
import ServiceKit

/// «Клиент говорит, что оплатил, бухгалтерия не видит» (PAY-22): the claim is followed to the bank's statements, the queue of
/// unmatched payments and what 1C has told, and answered in words.
struct PaymentClaims: Sendable {
    let pool: PostgresPool

    struct Claim: Decodable, Sendable {
        /// Nil when a photo says it.
        let amount: Money?
        /// The day that the client names, `2026-01-31`.
        let date: String?
        /// The number of his payment order.
        let number: String?
        let payerInn: String?
        let orderNumber: String?
        let comment: String?
    }
    enum Finding: String {
        case matched, unmatched, vanished, told
        /// A person has to read the photo first.
        case photo
        case notFound = "not_found"
        case noStatement = "no_statement"
    }
    struct Record: AnswerShape {
        let id: ID
        let amount: Money?
        let amountUnknown: String?
        let hasPhoto: Bool
        let date, number, payerInn, orderNumber, comment: String?
        let finding, by: String
        /// Who has read its photo, or traced it once more.
        let readBy: String?
        let at: Timestamp
    }
    struct Answer: AnswerShape {
        let claim: Record
        /// What to tell the client, or do next.
        let words: String
        let payments: [BankPayment]
    }

    /// Days by which the bank's date may differ from the client's.
    private static let daysBefore = 3
    private static let daysAfter = 10

    /// - Parameters:
    ///   - photo: of the payment order, where the client has sent one.
    ///   - known: the claim that is traced once more, by what a person has read off its photo or learnt since.
    func trace(_ claim: Claim, photo: ClaimPhoto? = nil, again known: ID? = nil, by caller: Caller) async throws
        -> Answer
    {
        if let date = claim.date {
            guard StatementReader.day(date) == date else { throw Problem.invalid("date is a day such as 2026-01-31") }
        }
        guard (claim.amount?.minor ?? 1) > 0 else { throw Problem.invalid("the sum is above zero") }
        guard claim.amount != nil || photo != nil && known == nil else {
            throw Problem.invalid("a claim names its sum, or has a photo of the payment order")
        }
        for text in [claim.number, claim.payerInn, claim.orderNumber] where (text?.count ?? 0) > 50 {
            throw Problem.invalid("number, payerInn and orderNumber have at most 50 characters")
        }
        guard (claim.comment?.count ?? 0) <= 1000 else { throw Problem.invalid("comment has at most 1000 characters") }
        let payments: [BankPayment] = if let amount = claim.amount { try await likely(claim, amount) } else { [] }
        let (finding, words): (Finding, String) =
            if let amount = claim.amount { try await answer(claim, amount, payments) } else {
                (.photo, "Фото принято. Впишите с него сумму, и оплата будет найдена.")
            }
        let rows = try await pool.query(
            """
            INSERT INTO payment_claim AS c (id, amount_minor, currency, date, number, payer_inn, order_number, comment, finding,
                by_whom, photo, photo_type)
            VALUES ($1, $2, $3, $4::date, $5, $6, $7, $8, $9, $10, $11, $12)
            ON CONFLICT (id) DO UPDATE SET amount_minor = excluded.amount_minor, currency = excluded.currency,
                date = excluded.date, number = excluded.number, payer_inn = excluded.payer_inn,
                order_number = excluded.order_number, comment = excluded.comment, finding = excluded.finding,
                read_by = excluded.by_whom
            RETURNING \(Self.columns)
            """,
            [
                .id(known ?? .make()), .int(claim.amount?.minor), .text(claim.amount?.currency.code), .text(claim.date),
                .text(claim.number?.withoutNUL), .text(claim.payerInn?.withoutNUL),
                .text(claim.orderNumber?.withoutNUL),
                .text(claim.comment?.withoutNUL), .text(finding.rawValue), .text(caller.name), .bytes(photo?.bytes),
                .text(photo?.type),
            ])
        return Answer(claim: try Self.record(rows[0]), words: words, payments: payments)
    }

    /// Traces a claim once more: what it says already holds where nothing new is said.
    ///
    /// - Parameter isUnread: only one whose photo nobody has read yet.
    func trace(again id: ID, _ claim: Claim, isUnread: Bool = false, by caller: Caller) async throws -> Answer {
        let row = try await pool.query(
            """
            SELECT finding, amount_minor, currency, date::text AS date, number, payer_inn, order_number, comment
            FROM payment_claim WHERE id = $1
            """, [.id(id)]
        ).first
        guard let row else { throw Problem.notFound("claim") }
        guard try !isUnread || row.string("finding") == Finding.photo.rawValue else {
            throw Problem.conflict("фото этой заявки уже прочитано")
        }
        let currency = try row.optionalString("currency").flatMap { Currency($0) }
        let known = try currency.map { Money(minor: try row.int("amount_minor"), currency: $0) }
        let whole = Claim(
            amount: claim.amount ?? known, date: try claim.date ?? row.optionalString("date"),
            number: try claim.number ?? row.optionalString("number"),
            payerInn: try claim.payerInn ?? row.optionalString("payer_inn"),
            orderNumber: try claim.orderNumber ?? row.optionalString("order_number"),
            comment: try claim.comment ?? row.optionalString("comment"))
        return try await trace(whole, again: id, by: caller)
    }

    /// The photo of a claim, as it came.
    func photo(_ id: ID) async throws -> ClaimPhoto {
        let row = try await pool.query(
            "SELECT photo FROM payment_claim WHERE id = $1 AND photo IS NOT NULL", [.id(id)]
        ).first
        guard let row else { throw Problem.notFound("photo") }
        return try ClaimPhoto(try row.bytes("photo"))
    }

    /// Claims whose photo nobody has read yet, the oldest first.
    func unread(limit: Int) async throws -> [Record] {
        try await pool.query(
            "SELECT \(Self.columns) FROM payment_claim WHERE finding = 'photo' ORDER BY id LIMIT $1", [.int(limit)]
        ).map { try Self.record($0) }
    }

    private static let columns = """
        photo IS NOT NULL AS has_photo, read_by, id, amount_minor, currency, date::text AS date, number, payer_inn, order_number, comment, finding, by_whom, at
        """

    private static func record(_ row: Row) throws -> Record {
        let currency = try row.optionalString("currency").flatMap { Currency($0) }
        let amount = try currency.map { Money(minor: try row.int("amount_minor"), currency: $0) }
        return Record(
            id: try row.id("id"), amount: amount,
            amountUnknown: amount == nil ? "сумма на фото, его ещё никто не прочитал" : nil,
            hasPhoto: try row.bool("has_photo"),
            date: try row.optionalString("date"), number: try row.optionalString("number"),
            payerInn: try row.optionalString("payer_inn"), orderNumber: try row.optionalString("order_number"),
            comment: try row.optionalString("comment"), finding: try row.string("finding"),
            by: try row.string("by_whom"), readBy: try row.optionalString("read_by"), at: try row.time("at"))
    }

    /// Claims, latest first.
    func list(limit: Int, after: ID?) async throws -> [Record] {
        try await pool.query(
            """
            SELECT \(Self.columns) FROM payment_claim WHERE $2::uuid IS NULL OR id < $2 ORDER BY id DESC LIMIT $1
            """, [.int(limit), .id(after)]
        ).map { try Self.record($0) }
    }

    /// Payments of that sum about that day; those of the named number or payer first.
    private func likely(_ claim: Claim, _ amount: Money) async throws -> [BankPayment] {
        try await BankPayment.load(
            """
            direction = 'in' AND amount_minor = $1 AND currency = $2
                AND ($3::date IS NULL OR date BETWEEN $3::date - \(Self.daysBefore) AND $3::date + \(Self.daysAfter))
                AND ($4::text IS NULL OR other_inn = $4 OR other_inn IS NULL)
            ORDER BY (number = $5) DESC NULLS LAST, (other_inn = $4) DESC NULLS LAST, date DESC LIMIT 20
            """,
            [
                .int(amount.minor), .text(amount.currency.code), .text(claim.date), .text(claim.payerInn),
                .text(claim.number),
            ], in: pool)
    }

    private func answer(_ claim: Claim, _ amount: Money, _ payments: [BankPayment]) async throws -> (Finding, String) {
        if let payment = payments.first {
            let day = HumanText.day(payment.date)
            switch payment.state {
            case "matched":
                let orders = payment.allocations.map { "№ \($0.orderNumber)" }.joined(separator: ", ")
                let other = claim.orderNumber.map { number in
                    payment.allocations.contains { $0.orderNumber == number }
                        ? "" : " (а клиент называет заказ № \(number))"
                }
                return (.matched, "Деньги пришли \(day) и учтены по заказу \(orders)\(other ?? "").")
            case "vanished":
                return (
                    .vanished,
                    "Оплата была в выписке за \(day), но в новой выписке за этот день её больше нет: спросите банк."
                )
            default:
                return (
                    .unmatched,
                    "Деньги пришли \(day), но не привязаны к заказу: \(payment.reason ?? "решает человек"). "
                        + "Привяжите оплату к заказу, и она будет учтена."
                )
            }
        }
        if let told = try await told(claim, amount) { return (.told, told) }
        return try await covered(claim)
            ? (
                .notFound,
                "В загруженных выписках и в 1С такой оплаты нет. Попросите у клиента платёжное поручение с отметкой банка."
            )
            : (
                .noStatement,
                "Выписка за этот день ещё не загружена. Загрузите её: раньше этого узнать об оплате неоткуда."
            )
    }

    private func told(_ claim: Claim, _ amount: Money) async throws -> String? {
        let row = try await pool.query(
            """
            SELECT o.number, coalesce(d->>'base', o.base) AS base, d->>'number' AS document, d->>'date' AS date
            FROM order_out o, jsonb_array_elements(o.told_documents) AS d
            WHERE d->>'kind' = 'payment' AND d->'amount'->>'amount' = $1 AND d->'amount'->>'currency' = $2
                AND ($3::text IS NULL OR o.number = $3) AND ($4::text IS NULL OR o.inn = $4)
                AND ($3::text IS NOT NULL OR $4::text IS NOT NULL)
                AND (d->>'posted')::boolean AND NOT (d->>'cancelled')::boolean
            -- The base whose word counts comes first.
            ORDER BY (d->>'counts')::boolean IS FALSE LIMIT 1
            """,
            [
                .text(amount.amount), .text(amount.currency.code), .text(claim.orderNumber),
                .text(claim.payerInn),
            ]
        ).first
        guard let row else { return nil }
        let document = try row.optionalString("document").map { " № \($0)" } ?? ""
        let date = try row.optionalString("date").map { " от \(HumanText.day($0))" } ?? ""
        return "1С \(try row.string("base")) учла эту оплату\(document)\(date) по заказу № \(try row.string("number"))."
    }

    private func covered(_ claim: Claim) async throws -> Bool {
        try await pool.query(
            """
            SELECT 1 AS one FROM bank_statement_days
            WHERE $1::date IS NULL OR $1::date BETWEEN first_day AND last_day LIMIT 1
            """,
            [.text(claim.date)]
        ).first != nil
    }
}
