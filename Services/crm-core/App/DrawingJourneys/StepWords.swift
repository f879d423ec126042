import Contracts
import Primitives

/// What a step of the line says to a person, in both languages.
struct StepWords {
    let kind: String
    /// What it is about, as `order:<id>`.
    let ref: String?
    private let data: RawJSON
    private let pair: (ru: String, en: String)?

    /// - Parameter type: the event's wire name; `crm.lead.created.v1` is of the kind `crm.lead.created`.
    init(type: String, data: RawJSON) {
        let kind = type.split(separator: ".").dropLast().joined(separator: ".")
        self.kind = kind
        self.data = data
        let variant = Self.variants[kind, default: []].lazy.compactMap { name in
            // One that ends with `?` asks whether the field is there at all.
            name.hasSuffix("?")
                ? data[String(name.dropLast())].flatMap { $0 == .null ? nil : name } : data[name]?.variant
        }
        .compactMap { Self.table["\(kind)/\($0)"] }.first
        pair = variant ?? Self.table[kind]
        ref = Self.links.lazy.compactMap { key, name in data[key]?.stringValue.map { "\(name):\($0)" } }.first
    }

    /// Fills the sentence: `{name}` is a field, `{name:short}` a quoted text, `{name:sum}` money, `{name:stage}` and
    /// `{name:payment}` a word of ours.
    func text(_ language: Language) -> String {
        guard let pair else { return kind }
        var out = ""
        var rest = language.pick(pair.ru, pair.en)[...]
        while let open = rest.firstIndex(of: "{"), let close = rest[open...].firstIndex(of: "}") {
            out += rest[..<open]
            let parts = rest[rest.index(after: open)..<close].split(separator: ":").map(String.init)
            out += value(parts[0], parts.count > 1 ? parts[1] : "", language)
            rest = rest[rest.index(after: close)...]
        }
        return out + rest
    }

    private func value(_ name: String, _ form: String, _ language: Language) -> String {
        let plain = data[name]?.plain ?? ""
        switch form {
        case "short": return plain.count > 120 ? plain.prefix(119) + "…" : plain
        case "sum":
            guard let money = data[name], let amount = money["amount"]?.stringValue else { return "?" }
            return HumanText.money(amount, money["currency"]?.stringValue ?? "", language)
        case "stage": return StateWords.stage(plain, language)
        case "payment": return StateWords.payment(plain, language)
        default: return plain
        }
    }

    /// Kinds whose sentence depends on their fields: the first of these fields that has one of its own decides.
    private static let variants = [
        "bot.message.sent": ["state"], "bot.answers.changed": ["state"], "bot.conversation.handed_over": ["to"],
        "crm.payment.recorded": ["counted", "kind"], "onec.bank_payment.allocated": ["stands"],
        "crm.order.flagged": ["done"], "crm.order.linked": ["dealId?"], "onec.order.reported": ["onecNumber?"],
        "crm.order.change_requested": ["kind"], "onec.order.change_answered": ["taken"],
        "notifier.notification.sent": ["state"], "bi.fact.counted": ["unit"],
    ]

    private static let links = [
        ("exchangeId", "exchange"), ("orderId", "order"), ("dealId", "deal"), ("leadId", "lead"),
        ("notificationId", "notification"), ("conversationId", "conversation"),
    ]

    /// The published kinds of steps, with their sentences.
    static let table: [String: (ru: String, en: String)] = [
        "bot.journey.opened": ("Новое обращение, канал {channel}", "A new request through {channel}"),
        "bot.message.received": ("Клиент: «{text:short}»", "Client: “{text:short}”"),
        "bot.message.sent": (
            "Ответ не отправлен ({reason}): «{text:short}»", "Reply not sent ({reason}): “{text:short}”"
        ),
        "bot.message.sent/sent": ("Ответ ({by}): «{text:short}»", "Reply ({by}): “{text:short}”"),
        "bot.message.sent/unknown": (
            "Ответ отправлен, но неизвестно, дошёл ли: «{text:short}»",
            "Reply sent, but whether it arrived is unknown: “{text:short}”"
        ),
        "bot.answers.changed": ("Клиент ответил на вопрос анкеты", "The client answered a question"),
        "bot.answers.changed/complete": ("Анкета заполнена", "All questions answered"),
        "bot.answers.changed/abandoned": (
            "Клиент не закончил анкету, шаг «{step}»", "The client left the questions at “{step}”"
        ),
        "bot.consent.given": (
            "Согласие на обработку персональных данных", "Consent to the processing of personal data"
        ),
        "bot.conversation.handed_over": ("Диалог возвращён боту", "The talk was given back to the bot"),
        "bot.conversation.handed_over/manager": ("Диалог взял {by}", "{by} took the talk"),
        "crm.lead.created": ("Заявка № {number}", "Lead no. {number}"),
        "crm.lead.ready": ("Заявка № {number} ждёт менеджера", "Lead no. {number} waits for a manager"),
        "crm.lead.taken": ("Заявку № {number} взял {by}", "{by} took lead no. {number}"),
        "crm.lead.rejected": ("Заявка отклонена: {reason}", "The lead was rejected: {reason}"),
        "crm.lead.converted": ("Заявка стала сделкой", "The lead became a deal"),
        "crm.deal.created": ("Сделка № {number}", "Deal no. {number}"),
        "crm.deal.stage_changed": ("Сделка: {from:stage} → {to:stage}", "Deal: {from:stage} → {to:stage}"),
        "crm.deal.won": ("Сделка № {number} выиграна", "Deal no. {number} was won"),
        "crm.deal.lost": ("Сделка проиграна: {reason}", "The deal was lost: {reason}"),
        "crm.order.requested": ("Заказ {number} поставлен в очередь для 1С", "Order {number} waits for 1C"),
        "crm.order.linked": (
            "Заказ {number}, сделанный в 1С, больше не относится к сделке ({by})",
            "Order {number}, made in 1C, no longer belongs to the deal ({by})"
        ),
        "crm.order.linked/dealId?": (
            "К сделке отнесён заказ {number}, сделанный в 1С ({by})",
            "Order {number}, made in 1C, was put to the deal ({by})"
        ),
        "crm.order.flagged": (
            "{department}: отметка «исполнено» по заказу {number} снята ({by})",
            "{department}: no longer done for order {number} ({by})"
        ),
        "crm.order.flagged/true": (
            "{department}: исполнено по заказу {number} ({by})", "{department}: done for order {number} ({by})"
        ),
        "crm.order.changed": (
            "Заказ {number}: оплата {payment:payment}, отгрузка {shipment:payment}",
            "Order {number}: payment {payment:payment}, shipment {shipment:payment}"
        ),
        "crm.payment.recorded": (
            "Оплата {amount:sum} по заказу {orderNumber}", "Payment {amount:sum} for order {orderNumber}"
        ),
        "crm.payment.recorded/false": (
            "Больше не учитывается: {amount:sum} по заказу {orderNumber}",
            "No longer counted: {amount:sum} for order {orderNumber}"
        ),
        "crm.payment.recorded/refund": (
            "Возврат {amount:sum} по заказу {orderNumber}", "Refund {amount:sum} for order {orderNumber}"
        ),
        "crm.journey.closed": ("Путь завершён: {reason}", "The journey ended: {reason}"),
        "crm.reply.requested": ("{by} отвечает клиенту", "{by} answers the client"),
        "crm.conversation.release_requested": (
            "{by} возвращает диалог боту", "{by} gives the talk back to the bot"
        ),
        "onec.bank_payment.allocated": (
            "По выписке банка сопоставление с заказом {orderNumber} снято: {amount:sum}",
            "By the bank's statement no longer for order {orderNumber}: {amount:sum}"
        ),
        "onec.bank_payment.allocated/true": (
            "В выписке банка найдена оплата {amount:sum} по заказу {orderNumber}",
            "The bank's statement shows {amount:sum} for order {orderNumber}"
        ),
        "onec.order.born": ("Заказ {number} сделан в 1С {base}", "Order {number} was made in 1C {base}"),
        "onec.order.sent": ("Заказ {number} забрала 1С {base}", "1C {base} fetched order {number}"),
        "onec.order.reported": (
            "1С {base} сообщила состояние заказа {number}", "1C {base} told the state of order {number}"
        ),
        "onec.order.reported/onecNumber?": (
            "Заказ {number} учтён в 1С {base}, получен № {onecNumber}",
            "Order {number} stands in 1C {base} as № {onecNumber}"
        ),
        "crm.order.change_requested": (
            "{by} просит изменить заказ {number}", "{by} asks to change order {number}"
        ),
        "crm.order.change_requested/cancel": (
            "{by} просит отменить заказ {number}", "{by} asks to cancel order {number}"
        ),
        "onec.order.change_answered": (
            "Просьба по заказу {number} не выполнена: {reason}",
            "What was asked of order {number} is not done: {reason}"
        ),
        "onec.order.change_answered/true": (
            "Просьба по заказу {number} выполнена: 1С его ещё не получала",
            "What was asked of order {number} is done: 1C had not got it yet"
        ),
        "onec.books.reported": (
            "1С {base} сообщила документы заказа {number}", "1C {base} told documents of order {number}"
        ),
        "onec.order.retried": ("Заказ {number} снова ждёт 1С", "Order {number} waits for 1C again"),
        "onec.order.refused": (
            "Заказ {number} нельзя отдать 1С: {reason}", "Order {number} cannot be given to 1C: {reason}"
        ),
        "notifier.notification.sent": (
            "Письмо не отправлено: {recipient}, {reason}", "Letter not sent: {recipient}, {reason}"
        ),
        "notifier.notification.sent/sent": ("Письмо отправлено: {recipient}", "Letter sent: {recipient}"),
        "bi.fact.counted": (
            "Учтено в показателе {metric}: {value} {unit}", "Counted in {metric}: {value} {unit}"
        ),
        // Pieces are a number by themselves.
        "bi.fact.counted/pcs": ("Учтено в показателе {metric}: {value}", "Counted in {metric}: {value}"),
    ]
}

extension RawJSON {
    /// A field's value as it names a sentence in the table.
    fileprivate var variant: String? {
        switch self {
        case .string(let value): value
        case .bool(let value): "\(value)"
        default: nil
        }
    }

    /// A text or a number as it is read.
    fileprivate var plain: String? {
        switch self {
        case .string(let value): value
        case .int(let value): String(value)
        case .double(let value): String(value)
        case .bool(let value): value ? "да" : "нет"
        default: nil
        }
    }
}
