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
        let named = possible.filter { isNamed($0, in: payment.purpose) }
        if let outcome = byNumber(payment, named, isPayer) { return outcome }
        return bySum(payment, theirs, hasNamed: !named.isEmpty)
    }

    private static func whole(_ payment: Payment, _ order: Candidate) -> Allocation {
        Allocation(order: order.id, number: order.number, amount: payment.amount)
    }

    /// The purpose names orders. Nil when it names none that is still open.
    private static func byNumber(
        _ payment: Payment, _ named: [Candidate], _ isPayer: (Candidate) -> Bool
    ) -> Outcome? {
        guard !named.isEmpty else { return nil }
        let trusted = named.filter { isPayer($0) || $0.inn == nil || payment.payerINN == nil }
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
        if trusted.isEmpty {
            return .unmatched(
                "в назначении назван заказ \(numbers(named)), но ИНН плательщика другой: подтвердите, что платит третье лицо"
            )
        }
        return .unmatched(
            "заказ \(numbers(trusted)) из назначения уже оплачен полностью: переплата или повторная оплата")
    }

    private static func bySum(_ payment: Payment, _ theirs: [Candidate], hasNamed: Bool) -> Outcome {
        let open = theirs.filter { $0.owed.minor > 0 }
        let equal = open.filter { $0.owed == payment.amount }
        if equal.count == 1 { return .matched([whole(payment, equal[0])], .sum) }
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

    private static func isNamed(_ order: Candidate, in purpose: String) -> Bool {
        let named = Purpose(purpose)
        if named.numbers.contains(order.number) { return true }
        guard let onec = order.onecNumber else { return false }
        return named.words.contains(onec.uppercased()) || (!bare(onec).isEmpty && named.numbers.contains(bare(onec)))
    }

    /// What the purpose of a payment names: «Оплата по счету № 17 от 31.01.2026, 18 и НФ-000019».
    struct Purpose: Sendable {
        /// Numbers behind a word that announces one, without leading zeros.
        private(set) var numbers: Set<String> = []
        /// Every word in capitals, for numbers with letters.
        private(set) var words: Set<String> = []

        private static let announcing = [
            "№", "N", "NO", "СЧЕТ", "СЧЁТ", "СЧ", "ЗАКАЗ", "ИНВОЙС", "INVOICE", "ORDER",
        ]
        /// Words that may stand between the announcement and its number, or between two numbers.
        private static let between: Set = ["НА", "ОПЛАТУ", "ПОКУПАТЕЛЮ", "КЛИЕНТА", "И", "ОТ", "Г", "ГОДА", "ПО"]

        init(_ text: String) {
            var announced = false
            for token in Self.tokens(text.replacing(/\d{1,2}[.\/]\d{1,2}[.\/]\d{2,4}/, with: " ")) {
                words.insert(token)
                if Self.isAnnouncing(token) {
                    announced = true
                    continue
                }
                let digits =
                    token.hasPrefix("N") && token.dropFirst().allSatisfy(\.isNumber) ? token.dropFirst() : token[...]
                if announced || digits.count < token.count, let last = digits.last, last.isNumber {
                    announced = true
                    // НФ-000017 is not order 17: with letters a number is known as a whole, among the words.
                    let bare = digits.allSatisfy(\.isNumber) ? PaymentMatching.bare(String(digits)) : ""
                    if !bare.isEmpty { numbers.insert(bare) }
                } else if !Self.between.contains(token) {
                    announced = false
                }
            }
        }

        private static func isAnnouncing(_ token: String) -> Bool {
            announcing.contains(token) || token.hasPrefix("СЧЕТ") || token.hasPrefix("СЧЁТ") || token.hasPrefix("ЗАКАЗ")
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
