import Primitives

/// Russian as people read it: plural forms, sums, words for states.
enum RussianText {
    /// 1 заявка, 2 заявки, 5 заявок.
    static func plural(_ count: Int, _ one: String, _ few: String, _ many: String) -> String {
        let (tens, units) = (abs(count) % 100, abs(count) % 10)
        if (11...14).contains(tens) { return many }
        return units == 1 ? one : (2...4).contains(units) ? few : many
    }

    /// `45000.00`, `RUB` → `45 000,00 ₽`, with no-break spaces.
    static func money(_ amount: String, _ currency: String) -> String {
        let parts = amount.split(separator: ".")
        let negative = amount.hasPrefix("-")
        let digits = (parts.first ?? "0").drop { $0 == "-" }
        var grouped = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { grouped += "\u{a0}" }
            grouped.append(digit)
        }
        let sign = ["RUB": "₽", "KZT": "₸", "USD": "$", "EUR": "€"][currency] ?? currency
        let fraction = parts.count > 1 ? ",\(parts[1])" : ""
        return "\(negative ? "−" : "")\(grouped)\(fraction)\u{a0}\(sign)"
    }

    static func money(_ money: Money?) -> String {
        money.map { self.money($0.amount, $0.currency.code) } ?? "неизвестно"
    }

    static func stage(_ stage: String) -> String {
        [
            "new": "новая", "qualified": "квалифицирована", "proposal": "предложение",
            "agreed": "согласована", "won": "выиграна", "lost": "проиграна",
        ][stage] ?? stage
    }

    static func payment(_ state: String) -> String {
        ["none": "нет", "partly": "частично", "full": "полностью", "over": "больше суммы", "unknown": "неизвестна"][
            state] ?? state
    }

    static func orderStatus(_ status: String) -> String {
        [
            "requested": "ждёт 1С", "sent": "забран 1С", "accepted": "принят в 1С", "closed": "закрыт",
            "cancelled": "отменён", "failed": "не принят",
        ][status] ?? status
    }

    static func leadStatus(_ status: String) -> String {
        ["new": "новая", "taken": "в работе", "converted": "стала сделкой", "rejected": "отклонена"][status]
            ?? status
    }

    /// 95 → `2 мин`, 7200 → `2 ч`.
    static func span(_ seconds: Double) -> String {
        let s = max(0, Int(seconds))
        if s < 60 { return "\(s) с" }
        if s < 3600 { return "\(s / 60) мин" }
        if s < 86_400 { return "\(s / 3600) ч" }
        let days = s / 86_400
        return "\(days) \(plural(days, "день", "дня", "дней"))"
    }
}
