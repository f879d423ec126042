import Primitives

/// Our words for states, as screens say them.
enum StateWords {
    static func stage(_ stage: String, _ language: Language) -> String {
        word(
            stage, language,
            [
                "new": ("новая", "new"), "qualified": ("квалифицирована", "qualified"),
                "proposal": ("предложение", "proposal"), "agreed": ("согласована", "agreed"),
                "won": ("выиграна", "won"), "lost": ("проиграна", "lost"),
            ])
    }

    /// Payment and shipment share their states.
    static func payment(_ state: String, _ language: Language) -> String {
        word(
            state, language,
            [
                "none": ("нет", "none"), "partly": ("частично", "partly"), "full": ("полностью", "full"),
                "over": ("больше суммы", "over"), "unknown": ("неизвестно", "unknown"),
            ])
    }

    /// - Parameter isOurs: our own books keep it: there is no 1C to accept it.
    static func order(_ status: String, _ language: Language, isOurs: Bool = false) -> String {
        if isOurs, status == "accepted" { return language.pick("оформлен", "made") }
        return word(
            status, language,
            [
                "requested": ("ждёт 1С", "waits for 1C"), "sent": ("забран 1С", "fetched by 1C"),
                "accepted": ("принят в 1С", "accepted in 1C"), "closed": ("закрыт", "closed"),
                "cancelled": ("отменён", "cancelled"), "failed": ("не принят", "failed"),
            ])
    }

    static func lead(_ status: String, _ language: Language) -> String {
        word(
            status, language,
            [
                "new": ("новая", "new"), "taken": ("в работе", "taken"), "converted": ("стала сделкой", "converted"),
                "rejected": ("отклонена", "rejected"),
            ])
    }

    static let orderKinds = ["goods", "prepayment", "signing"]

    static func orderKind(_ kind: String, _ language: Language) -> String {
        word(
            kind, language,
            [
                "goods": ("Товары", "Goods"), "prepayment": ("Предварительная оплата", "Prepayment"),
                "signing": ("Подписание документов", "Signing of documents"),
            ])
    }

    static func document(_ kind: String, _ language: Language) -> String {
        word(
            kind, language,
            [
                "payment": ("оплата", "payment"), "refund": ("возврат денег", "refund"),
                "shipment": ("отгрузка", "shipment"), "return": ("возврат товара", "return"),
                "invoice": ("счёт", "invoice"),
            ])
    }

    static func invoice(_ state: String, _ language: Language) -> String {
        word(
            state, language,
            [
                "requested": ("запрошен", "requested"), "issued": ("выставлен", "issued"),
                "sent": ("отправлен", "sent"),
                "agreed": ("согласован", "agreed"), "partly": ("оплачен частично", "paid in part"),
                "overdue": ("просрочен", "overdue"), "paid": ("оплачен", "paid"), "cancelled": ("отменён", "cancelled"),
            ])
    }

    /// Whose word made a state.
    static func source(_ source: String, _ language: Language) -> String {
        word(
            source, language,
            [
                "manager": ("сотрудник", "an employee"), "onec": ("1С", "1C"), "bank": ("банк", "the bank"),
                "clock": ("срок", "the day"), "before": ("раньше", "earlier"),
            ])
    }

    static func record(_ kind: String, _ language: Language) -> String {
        word(
            kind, language,
            [
                "lead": ("заявка", "lead"), "deal": ("сделка", "deal"), "order": ("заказ", "order"),
                "contact": ("контакт", "contact"), "company": ("компания", "company"),
            ])
    }

    /// What a gap of the line waits for.
    static func waiting(_ kind: String, _ language: Language) -> String {
        word(
            kind, language,
            [
                "crm.lead.taken": ("кто-то возьмёт заявку", "somebody to take the lead"),
                "crm.lead.converted": ("сделку или отказ", "a deal or a refusal"),
                "crm.order.requested": ("заказ", "an order"),
                "onec.order.sent": ("1С заберёт заказ", "1C to fetch the order"),
                "onec.order.reported": ("ответ 1С", "1C's answer"), "money.received": ("оплату", "payment"),
                "shipment": ("отгрузку", "shipment"),
            ])
    }

    private static func word(
        _ key: String, _ language: Language, _ table: [String: (ru: String, en: String)]
    ) -> String {
        table[key].map { language.pick($0.ru, $0.en) } ?? key
    }

    static func replay(_ state: String, _ language: Language) -> String {
        switch state {
        case "planned": language.pick("составлен, не выполнен", "planned, not done")
        case "applying": language.pick("выполняется", "being done")
        case "applied": language.pick("выполнен", "done")
        case "cancelled": language.pick("отменён", "cancelled")
        default: state
        }
    }

    static func outcome(_ outcome: String, _ language: Language) -> String {
        switch outcome {
        case "waiting": language.pick("ждёт", "waiting")
        case "done": language.pick("выполнено", "done")
        case "failed": language.pick("не вышло", "failed")
        case "cancelled": language.pick("отменено", "cancelled")
        default: outcome
        }
    }
}
