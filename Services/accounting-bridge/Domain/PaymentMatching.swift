import Primitives

/// Finds the orders that a payment from a bank's statement is for. A value in, a value out: the rules are those that people
/// in accounts use, first of the payer, then of the number in the purpose, then of the sum; what fits twice is never linked
/// by itself (domain rule 2).
enum PaymentMatching {
    struct Payment: Sendable {
        let amount: Money
        let date: String
        let number: String
        let payerINN: String?
        let purpose: String
        /// The code of our organization whose account it came to; nil when the settings do not tell.
        let organization: String?
    }

    /// An order that may be what it pays.
    struct Candidate: Sendable {
        struct Told: Sendable {
            let number, date: String?
            let amount: Money
        }
        let id: ID
        let number: String
        let onecNumber: String?
        let inn: String?
        let counterparty: ID
        let organization: String
        /// What is still to be paid.
        let owed: Money
        /// Payments that 1C has told of this order and no bank document stands for yet.
        let told: [Told]
        /// 1C says that it is paid in full, without saying how.
        var isPaid = false
    }

    struct Allocation: Sendable, Equatable {
        let order: ID
        let number: String
        let amount: Money
    }
    enum Rule: String, Sendable {
        /// 1C has told of the same payment.
        case told
        case number
        case sum
        /// The payer's only open order, paid in part.
        case onlyOrder = "only_order"
        /// A person decided.
        case person
    }
    enum Outcome: Sendable {
        case matched([Allocation], Rule)
        case unmatched(String)
    }

    /// - Parameter remembered: counterparties that a person has linked this payer to before.
    static func decide(_ payment: Payment, _ candidates: [Candidate], remembered: Set<ID> = []) -> Outcome {
        let possible = candidates.filter {
            $0.owed.currency == payment.amount.currency
                && (payment.organization == nil || $0.organization == payment.organization)
        }
        func isPayer(_ order: Candidate) -> Bool {
            remembered.contains(order.counterparty) || (order.inn != nil && order.inn == payment.payerINN)
        }
        let theirs = possible.filter(isPayer)
        let told = theirs.filter { order in
            order.told.contains {
                $0.amount == payment.amount
                    && (same($0.number, payment.number) || $0.date == payment.date)
            }
        }
        if told.count == 1 { return .matched([whole(payment, told[0])], .told) }
        let purpose = Purpose(payment.purpose)
        let named = possible.filter { purpose.names($0) }
        if let outcome = byNumber(payment, named, theirs, purpose, isPayer) { return outcome }
        return bySum(payment, theirs)
    }

    private static func whole(_ payment: Payment, _ order: Candidate) -> Allocation {
        Allocation(order: order.id, number: order.number, amount: payment.amount)
    }

    /// The purpose names orders. Nil when it names none that is still open.
    private static func byNumber(
        _ payment: Payment, _ named: [Candidate], _ theirs: [Candidate], _ purpose: Purpose,
        _ isPayer: (Candidate) -> Bool
    ) -> Outcome? {
        guard !named.isEmpty else { return nil }
        // A bare № may be anything's, and where no INN confirms whose order it is, the sum has to: all that is owed, or less for one that is
        // clearly called an invoice or an order and is nobody else's.
        var trusted = named.filter { order in
            if isPayer(order) { return purpose.clearly(order) || payment.amount.minor <= order.owed.minor }
            guard order.inn == nil || payment.payerINN == nil else { return false }
            return order.owed == payment.amount
                || purpose.clearly(order) && payment.payerINN == nil && payment.amount.minor < order.owed.minor
        }
        // The payer's own come before others of the same number.
        if trusted.contains(where: isPayer) { trusted = trusted.filter(isPayer) }
        let equal = theirs.filter { $0.owed == payment.amount }
        if equal.count == 1, !trusted.contains(where: { purpose.clearly($0) }) {
            return .matched([whole(payment, equal[0])], trusted.contains { $0.id == equal[0].id } ? .number : .sum)
        }
        let open = trusted.filter { $0.owed.minor > 0 }
        if open.count == 1 { return .matched([whole(payment, open[0])], .number) }
        if open.count > 1 {
            let owed = open.reduce(Money.zero(payment.amount.currency)) { $0 + $1.owed }
            guard owed == payment.amount else {
                return .unmatched(
                    "в назначении названо несколько заказов (\(numbers(open))), а сумма не равна их общему остатку "
                        + HumanText.money(owed) + ": укажите, сколько на какой")
            }
            return .matched(
                open.map { Allocation(order: $0.id, number: $0.number, amount: $0.owed) }, .number)
        }
        if trusted.isEmpty, !named.contains(where: { $0.inn != nil && payment.payerINN != nil }) {
            return .unmatched(
                "в назначении назван номер \(numbers(named)), но ни ИНН, ни сумма этого не подтверждают: решите, к какому заказу оплата"
            )
        }
        if trusted.isEmpty {
            return .unmatched(
                "в назначении назван заказ \(numbers(named)), но ИНН плательщика другой: подтвердите, что платит третье лицо"
            )
        }
        return .unmatched(
            "заказ \(numbers(trusted)) из назначения уже оплачен полностью: переплата или повторная оплата")
    }

    private static func bySum(_ payment: Payment, _ theirs: [Candidate]) -> Outcome {
        // Books often know of the money before the statement comes: an order that they call paid may be what it paid.
        let equal = theirs.filter { $0.owed == payment.amount }
        if equal.count == 1 { return .matched([whole(payment, equal[0])], .sum) }
        let open = theirs.filter { $0.owed.minor > 0 && !$0.isPaid }
        if equal.count > 1 { return .unmatched("подходит несколько заказов с такой суммой: \(numbers(equal))") }
        if open.count == 1 {
            guard open[0].owed.minor > payment.amount.minor else {
                return .unmatched(
                    "сумма больше остатка единственного открытого заказа \(numbers(open)): \(HumanText.money(open[0].owed))"
                )
            }
            return .matched([whole(payment, open[0])], .onlyOrder)
        }
        if open.count > 1 { return .unmatched("у плательщика несколько открытых заказов: \(numbers(open))") }
        if !theirs.isEmpty { return .unmatched("у плательщика нет заказов, ждущих оплаты") }
        guard let inn = payment.payerINN else { return .unmatched("в выписке нет ИНН плательщика") }
        return .unmatched("нет заказов клиента с ИНН \(inn)")
    }

    private static func numbers(_ orders: [Candidate]) -> String {
        orders.prefix(5).map { "№ \($0.number)" }.joined(separator: ", ") + (orders.count > 5 ? " и другие" : "")
    }

    private static func same(_ left: String?, _ right: String) -> Bool {
        guard let left else { return false }
        return bare(left) == bare(right)
    }

    /// A number as people copy it: the digits at its end, without leading zeros.
    static func bare(_ number: String) -> String {
        let digits = number.reversed().prefix { $0.isASCII && $0.isNumber }.reversed()
        return String(digits.drop { $0 == "0" })
    }

    // MARK: the purpose

    /// What the purpose of a payment names: «Оплата по счету № 17 от 31.01.2026, 18 и НФ-000019».
    struct Purpose: Sendable {
        /// Numbers behind a word that announces one, without leading zeros.
        private(set) var numbers: Set<String> = []
        /// Those of them that an invoice or an order was named before, and not only a № stands before.
        private(set) var clear: Set<String> = []
        /// Every word in capitals, for numbers with letters.
        private(set) var words: Set<String> = []

        private static let signs: Set = ["№", "N", "NO"]
        private static let announcing = ["СЧ", "ЗАКАЗ", "ИНВОЙС", "INVOICE", "ORDER"]
        /// What has a number of its own that is no order's.
        private static let foreign = [
            "ДОГ", "КОНТРАКТ", "АКТ", "ПОРУЧЕН", "НАКЛАДН", "УПД", "П/П", "С/Ф", "СПЕЦ", "ПРИЛ", "СОГЛАШ", "ТОРГ",
            "ТТН", "КВ",
        ]
        /// Accounts of banks and of people are no invoices: «лицевой счёт», «расчётный счёт».
        private static let ofAccounts = ["ЛИЦЕВ", "РАСЧЕТН", "РАСЧЁТН", "КОРР"]
        /// Words that may stand between the announcement and its number, or between two numbers.
        private static let between: Set = ["ОПЛАТУ", "ПОКУПАТЕЛЮ", "КЛИЕНТА", "И", "ОТ", "Г", "ГОДА", "ПО"]

        private enum Announced { case no, bySign, clearly, foreign }

        init(_ text: String) {
            var announced = Announced.no
            var before = ""
            for token in Self.tokens(Self.withoutDates(text)) {
                words.insert(token)
                defer { before = token }
                if Self.signs.contains(token) {
                    if announced == .no { announced = .bySign }
                    continue
                }
                let isForeign = token.contains("ФАКТУР") || Self.foreign.contains { token.hasPrefix($0) }
                if isForeign || Self.isAnnouncing(token) && Self.ofAccounts.contains(where: { before.hasPrefix($0) }) {
                    announced = .foreign
                    continue
                }
                if Self.isAnnouncing(token) {
                    announced = .clearly
                    continue
                }
                // «на оплату» stands between, «на 18 000» is a sum.
                if token == "НА" { continue }
                if before == "НА", token.first?.isNumber == true {
                    announced = .no
                    continue
                }
                let isSigned = token.hasPrefix("N") && token.dropFirst().allSatisfy(\.isNumber)
                let digits = isSigned ? token.dropFirst() : token[...]
                if announced == .no, isSigned { announced = .bySign }
                guard announced != .no, let last = digits.last, last.isNumber else {
                    if !Self.between.contains(token) { announced = .no }
                    continue
                }
                // НФ-000017 is not order 17: with letters a number is known as a whole, among the words.
                let bare = digits.allSatisfy(\.isNumber) ? PaymentMatching.bare(String(digits)) : ""
                guard !bare.isEmpty, announced != .foreign else { continue }
                numbers.insert(bare)
                if announced == .clearly { clear.insert(bare) }
            }
        }

        private static func isAnnouncing(_ token: String) -> Bool {
            announcing.contains(token) || token.hasPrefix("СЧЕТ") || token.hasPrefix("СЧЁТ") || token.hasPrefix("ЗАКАЗ")
        }

        /// `31.01.2026`, `31 января 2026`: their numbers are no orders'.
        private static func withoutDates(_ text: String) -> String {
            text.replacing(/\d{1,2}[.\/]\d{1,2}[.\/]\d{2,4}/, with: " ").replacing(
                /\d{1,2}\s+(янв|фев|мар|апр|ма[йя]|июн|июл|авг|сен|окт|ноя|дек)[а-яё]*(\s+\d{2,4})?/.ignoresCase(),
                with: " ")
        }

        func names(_ order: Candidate) -> Bool { isAmong(numbers, order) }
        /// It is called an invoice or an order, or by 1C's whole number.
        func clearly(_ order: Candidate) -> Bool { isAmong(clear, order) }

        private func isAmong(_ numbers: Set<String>, _ order: Candidate) -> Bool {
            if numbers.contains(order.number) { return true }
            guard let onec = order.onecNumber else { return false }
            let bare = PaymentMatching.bare(onec)
            return words.contains(onec.uppercased()) && onec.contains(where: \.isLetter)
                || !bare.isEmpty && numbers.contains(bare)
        }

        /// Words of letters, digits, hyphens and slashes, in capitals; № is a word of its own.
        private static func tokens(_ text: String) -> [String] {
            var tokens: [String] = []
            var word = ""
            func isPart(_ character: Character) -> Bool {
                character.isLetter || character.isNumber || character == "-" || character == "/"
            }
            for character in text.uppercased() {
                if isPart(character), character != "№" {
                    word.append(character)
                    continue
                }
                if !word.isEmpty { tokens.append(word) }
                word = ""
                if character == "№" { tokens.append("№") }
            }
            if !word.isEmpty { tokens.append(word) }
            return tokens
        }
    }
}
