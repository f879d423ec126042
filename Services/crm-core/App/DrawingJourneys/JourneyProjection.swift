import Contracts
import Messaging
import Postgres
import Primitives

/// Writes down, as one line per journey, everything that all services say.
struct JourneyProjection: Sendable {
    let live: LivePages

    /// Adds the projection to what is done with a publisher's events.
    func add(to handlers: inout EventHandlers) {
        handlers.onEvery { event, transaction in
            guard let journey = event.correlation else { return }
            let data = (try? JSON.decode(Enclosed.self, from: event.bytes))?.data ?? .null
            let step = StepWords(type: event.type, data: data)
            try await transaction.query(
                """
                INSERT INTO journey_step
                    (id, journey_id, at, service, kind, summary, ref, caused_by, by_whom)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING
                """,
                [
                    .id(event.id), .id(journey), .time(event.at), .text(event.source),
                    .text(step.kind), .text(step.summary), .text(step.ref), .id(event.causation),
                    .text(data["by"]?.stringValue),
                ])
            transaction.afterCommit { live.changed(journey) }
        }
    }

    private struct Enclosed: Decodable { let data: RawJSON }
}

/// What a step of the line says to a person, in Russian.
struct StepWords {
    let kind, summary: String
    let ref: String?

    /// `crm.lead.created.v1` → `crm.lead.created`.
    init(type: String, data: RawJSON) {
        kind = type.split(separator: ".").dropLast().joined(separator: ".")
        func text(_ key: String) -> String { data[key]?.plain ?? "" }
        func sum(_ key: String) -> String {
            guard let money = data[key], let amount = money["amount"]?.stringValue else { return "?" }
            return RussianText.money(amount, money["currency"]?.stringValue ?? "")
        }
        summary =
            switch kind {
            case "bot.journey.opened": "Новое обращение, канал \(text("channel"))"
            case "bot.message.received": "Клиент: «\(text("text").shortened)»"
            case "bot.message.sent":
                switch text("state") {
                case "sent": "Ответ (\(text("by"))): «\(text("text").shortened)»"
                case "unknown": "Ответ отправлен, но неизвестно, дошёл ли: «\(text("text").shortened)»"
                default: "Ответ не отправлен (\(text("reason"))): «\(text("text").shortened)»"
                }
            case "bot.answers.changed":
                switch text("state") {
                case "complete": "Анкета заполнена"
                case "abandoned": "Клиент не закончил анкету, шаг «\(text("step"))»"
                default: "Клиент ответил на вопрос анкеты"
                }
            case "bot.consent.given": "Согласие на обработку персональных данных"
            case "bot.conversation.handed_over":
                text("to") == "manager" ? "Диалог взял \(text("by"))" : "Диалог возвращён боту"
            case "crm.lead.created": "Заявка № \(text("number"))"
            case "crm.lead.ready": "Заявка № \(text("number")) ждёт менеджера"
            case "crm.lead.taken": "Заявку № \(text("number")) взял \(text("by"))"
            case "crm.lead.rejected": "Заявка отклонена: \(text("reason"))"
            case "crm.lead.converted": "Заявка стала сделкой"
            case "crm.deal.created": "Сделка № \(text("number"))"
            case "crm.deal.stage_changed":
                "Сделка: \(RussianText.stage(text("from"))) → \(RussianText.stage(text("to")))"
            case "crm.deal.won": "Сделка № \(text("number")) выиграна"
            case "crm.deal.lost": "Сделка проиграна: \(text("reason"))"
            case "crm.order.requested": "Заказ \(text("number")) поставлен в очередь для 1С"
            case "crm.order.changed":
                "Заказ \(text("number")): оплата \(RussianText.payment(text("payment"))), отгрузка \(RussianText.payment(text("shipment")))"
            case "crm.payment.recorded":
                "\(text("kind") == "refund" ? "Возврат" : "Оплата") \(sum("amount")) по заказу \(text("orderNumber"))"
            case "crm.journey.closed": "Путь завершён: \(text("reason"))"
            case "crm.reply.requested": "\(text("by")) отвечает клиенту"
            case "crm.conversation.release_requested": "\(text("by")) возвращает диалог боту"
            case "onec.order.sent": "Заказ \(text("number")) забрала 1С \(text("base"))"
            case "onec.order.reported":
                "1С \(text("base")) сообщила состояние заказа \(text("number"))"
            case "onec.order.refused": "Заказ \(text("number")) нельзя отдать 1С: \(text("reason"))"
            case "notifier.notification.sent":
                text("state") == "sent"
                    ? "Письмо отправлено: \(text("recipient"))"
                    : "Письмо не отправлено: \(text("recipient")), \(text("reason"))"
            case "bi.fact.counted": "Учтено в показателе \(text("metric")): \(text("value")) \(text("unit"))"
            default: kind
            }
        let links = [
            ("exchangeId", "exchange"), ("orderId", "order"), ("dealId", "deal"), ("leadId", "lead"),
            ("notificationId", "notification"), ("conversationId", "conversation"),
        ]
        ref = links.lazy.compactMap { key, name in
            data[key]?.stringValue.map { "\(name):\($0)" }
        }.first
    }
}

extension RawJSON {
    /// A text or a number as it is read.
    var plain: String? {
        switch self {
        case .string(let value): value
        case .int(let value): String(value)
        case .double(let value): String(value)
        case .bool(let value): value ? "да" : "нет"
        default: nil
        }
    }
}

extension String {
    fileprivate var shortened: String { count > 120 ? prefix(119) + "…" : self }
}
