/// A language that screens and letters speak.
public enum Language: String, Sendable, CaseIterable {
    case ru, en

    public func pick<Value>(_ russian: Value, _ english: Value) -> Value { self == .ru ? russian : english }
}

/// Counts, sums, dates and spans as people read them.
public enum HumanText {
    /// 1 заявка, 2 заявки, 5 заявок.
    public static func plural(_ count: Int, _ one: String, _ few: String, _ many: String) -> String {
        let (tens, units) = (abs(count) % 100, abs(count) % 10)
        if (11...14).contains(tens) { return many }
        return units == 1 ? one : (2...4).contains(units) ? few : many
    }

    private static let signs = ["RUB": "₽", "KZT": "₸", "USD": "$", "EUR": "€"]

    /// `45000.00`, `RUB` → `45 000,00 ₽` with no-break spaces, or `45,000.00 ₽`.
    public static func money(_ amount: String, _ currency: String, _ language: Language = .ru) -> String {
        let parts = amount.split(separator: ".")
        let digits = (parts.first ?? "0").drop { $0 == "-" }
        var grouped = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { grouped += language.pick("\u{a0}", ",") }
            grouped.append(digit)
        }
        let fraction = parts.count > 1 ? language.pick(",", ".") + parts[1] : ""
        return "\(amount.hasPrefix("-") ? "−" : "")\(grouped)\(fraction)\u{a0}\(signs[currency] ?? currency)"
    }

    public static func money(_ money: Money, _ language: Language = .ru) -> String {
        self.money(money.amount, money.currency.code, language)
    }

    /// `2026-01-31` → `31.01.2026`; anything else as it is.
    public static func day(_ text: String) -> String {
        let parts = text.split(separator: "-")
        return parts.count == 3 ? parts.reversed().joined(separator: ".") : text
    }

    /// `2026-01-31T09:05:00` → `31.01.2026 09:05`, on the clock that it names.
    public static func moment(_ text: String) -> String {
        "\(day(String(text.prefix(10)))) \(text.dropFirst(11).prefix(5))"
    }

    /// 95 → `1 мин`, 7200 → `2 ч`, 172800 → `2 дня`.
    public static func span(_ seconds: Double, _ language: Language = .ru) -> String {
        let whole = max(0, Int(seconds))
        if whole < 60 { return "\(whole) \(language.pick("с", "s"))" }
        if whole < 3600 { return "\(whole / 60) \(language.pick("мин", "min"))" }
        if whole < 86_400 { return "\(whole / 3600) \(language.pick("ч", "h"))" }
        let days = whole / 86_400
        return "\(days) " + language.pick(plural(days, "день", "дня", "дней"), days == 1 ? "day" : "days")
    }
}
