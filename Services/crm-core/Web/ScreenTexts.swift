/// The workspace's words, Russian first.
enum ScreenTexts {
    private static let table: [String: (ru: String, en: String)] = [
        "leads": ("Заявки", "Leads"), "dashboard": ("Показатели", "Dashboard"),
        "journal": ("Обмен с 1С", "1C exchange"), "search": ("Поиск", "Search"),
        "searchHint": ("номер, телефон, имя", "number, phone, name"),
        "atWork": ("На работе", "At work"), "notAtWork": ("Не на работе", "Away"),
        "logout": ("Выйти", "Log out"), "login": ("Логин", "Login"), "password": ("Пароль", "Password"),
        "enter": ("Войти", "Log in"), "myLeads": ("Мои заявки", "My leads"),
        "myDeals": ("Мои сделки", "My deals"),
        "noLeads": ("Открытых заявок нет. Новые появятся здесь сами.", "No open leads. New ones appear here by themselves."),
        "lead": ("Заявка", "Lead"), "deal": ("Сделка", "Deal"), "name": ("Имя", "Name"),
        "phone": ("Телефон", "Phone"), "channel": ("Канал", "Channel"),
        "responsible": ("Ответственный", "Responsible"), "take": ("Взять в работу", "Take"),
        "dealTitle": ("Название сделки", "Title of the deal"), "amount": ("Сумма", "Amount"),
        "convert": ("Создать сделку", "Make a deal"), "reason": ("Причина", "Reason"),
        "reject": ("Отклонить", "Reject"), "lostReason": ("причина, если проиграна", "reason, if lost"),
        "newOrder": ("Заказ в 1С", "Order in 1C"), "item": ("Что заказать", "Item"),
        "quantity": ("Количество", "Quantity"), "price": ("Цена", "Price"),
        "askOrder": ("Передать в 1С", "Send to 1C"), "order": ("Заказ", "Order"),
        "ordered": ("заказано", "ordered"), "shipped": ("отгружено", "shipped"), "paid": ("оплачено", "paid"),
        "chat": ("Переписка", "Chat"), "reply": ("Ответить клиенту", "Reply to the client"),
        "send": ("Отправить", "Send"), "release": ("Вернуть боту", "Give back to the bot"),
        "held": ("Диалог ведёт", "The talk is held by"), "botTalks": ("Отвечает бот", "The bot answers"),
        "line": ("Сквозной путь", "Journey"), "waits": ("Ждём", "Waiting for"), "owner": ("от кого", "from"),
        "people": ("Люди", "People"), "deals": ("Сделки", "Deals"), "orders": ("Заказы", "Orders"),
        "nothing": ("Ничего не найдено", "Nothing found"),
    ]

    static func all(_ language: String) -> [String: String] {
        table.mapValues { language == "en" ? $0.en : $0.ru }
    }

    /// What a gap of the line waits for.
    static func waiting(_ kind: String, _ language: String) -> String {
        let words: [String: (String, String)] = [
            "crm.lead.taken": ("кто-то возьмёт заявку", "somebody to take the lead"),
            "crm.lead.converted": ("сделку или отказ", "a deal or a refusal"),
            "crm.order.requested": ("заказ", "an order"),
            "onec.order.sent": ("1С заберёт заказ", "1C to fetch the order"),
            "onec.order.reported": ("ответ 1С", "1C's answer"), "money.received": ("оплату", "payment"),
            "shipment": ("отгрузку", "shipment"),
        ]
        guard let pair = words[kind] else { return kind }
        return language == "en" ? pair.1 : pair.0
    }
}
