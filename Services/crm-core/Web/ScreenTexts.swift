import Primitives

/// The workspace's words, Russian first.
enum ScreenTexts {
    private static let table: [String: (ru: String, en: String)] = [
        "leads": ("Заявки", "Leads"), "dashboard": ("Показатели", "Dashboard"),
        "journal": ("Обмен с 1С", "1C exchange"), "search": ("Поиск", "Search"),
        "searchHint": ("номер, телефон, имя", "number, phone, name"),
        "atWork": ("На работе", "At work"), "notAtWork": ("Не на работе", "Away"),
        "logout": ("Выйти", "Log out"), "login": ("Логин", "Login"), "password": ("Пароль", "Password"),
        "enter": ("Войти", "Log in"), "wrongLogin": ("Неверный логин или пароль.", "Login or password is wrong."),
        "tooManyLogins": (
            "Слишком много попыток. Подождите 15 минут.", "Too many attempts. Wait for 15 minutes."
        ),
        "myLeads": ("Мои заявки", "My leads"), "myDeals": ("Мои сделки", "My deals"),
        "noLeads": (
            "Открытых заявок нет. Новые появятся здесь сами.", "No open leads. New ones appear here by themselves."
        ),
        "noDeals": ("Сделок пока нет.", "No deals yet."),
        "noNextStep": ("без следующего шага", "no next step"), "nobody": ("не назначен", "nobody"),
        "noName": ("не назвался", "no name given"), "noAmount": ("сумма не указана", "no amount"),
        "lead": ("Заявка", "Lead"), "deal": ("Сделка", "Deal"), "name": ("Имя", "Name"),
        "phone": ("Телефон", "Phone"), "channel": ("Канал", "Channel"),
        "confirmed": ("номер подтверждён", "confirmed number"),
        "maybeSame": ("Возможно, тот же человек", "Perhaps the same person"),
        "shopOrder": ("Заказ в магазине", "Shop order"),
        "responsible": ("Ответственный", "Responsible"), "nextStep": ("Следующий шаг", "Next step"),
        "take": ("Взять в работу", "Take"), "dealTitle": ("Название сделки", "Title of the deal"),
        "amount": ("Сумма", "Amount"), "convert": ("Создать сделку", "Make a deal"),
        "reason": ("Причина", "Reason"), "reject": ("Отклонить", "Reject"), "stage": ("Стадия", "Stage"),
        "lostReason": ("причина, если проиграна", "reason, if lost"), "save": ("Сохранить", "Save"),
        "disputes": ("Разногласия", "Disputes"),
        "onecClients": ("Клиенты 1С", "1C's clients"),
        "notLinked": ("Не связаны с клиентом CRM", "Linked to no client"),
        "allLinked": ("Все карточки 1С связаны.", "All of 1C's cards are linked."), "thisIs": ("Это", "This is"),
        "newClient": ("Новый клиент CRM", "A new client"), "notOurs": ("Не наш клиент", "Not a client of ours"),
        "conflicts": ("Изменили обе стороны", "Changed on both sides"),
        "noConflicts": ("Расхождений нет.", "No conflicts."),
        "client": ("клиент", "client"), "reverted": ("Взято другое значение", "The other value was taken"),
        "takeOther": ("Взять другое значение", "Take the other value"), "field.name": ("Имя", "Name"),
        "field.inn": ("ИНН", "INN"), "field.kpp": ("КПП", "KPP"), "kept.crm": ("Оставлено из CRM", "The CRM's stays"),
        "kept.onec": ("Взято из 1С", "1C's was taken"), "history": ("Как назывался", "What it was called"),
        "onecCards": ("Карточки в 1С", "Cards in 1C"),
        "reconciliation": ("Сверка 1С, CRM и отчётов", "1C, CRM and reports compared"),
        "whyDiffer": ("Почему суммы разные", "Why the sums differ"),
        "differ.not_shipped": ("Заказано и не отгружено:", "Ordered and not shipped:"),
        "differ.not_paid": ("Не оплачено:", "Not paid:"), "differ.overpaid": ("Оплачено лишнее:", "Paid too much:"),
        "act": ("Взаиморасчёты", "Mutual settlements"), "debit": ("Увеличивает долг", "Owes more"),
        "credit": ("Уменьшает долг", "Owes less"),
        "balance": ("Долг клиента", "Client owes"), "total": ("Итого", "Total"),
        "document.shipment": ("Отгрузка", "Shipment"), "document.payment": ("Оплата", "Payment"),
        "document.refund": ("Возврат денег", "Refund"),
        "document.return": ("Возврат товара", "Return"),
        "lastComparison": ("Последняя сверка", "Last comparison"),
        "askAnew": ("спросить заново", "ask anew"),
        "books": ("Какой базе верим", "Which base is believed"),
        "booksNote": (
            "По каждому виду документов учитывается одна база; те же документы в других базах видны, но не считаются.",
            "For each kind of document one base counts; the same documents in others are seen and not counted."
        ),
        "organization": ("Организация", "Organization"),
        "owners": ("Кто за что отвечает", "Who owns which data"),
        "own.owner": ("ведёт", "owns"), "own.copy": ("копия", "copy"), "own.none": ("не хранит", "—"),
        "ownData": ("Данные", "Data"), "ownRefusal": ("Чужая запись", "A write by another"),
        "ownBot": ("Бот", "Bot"), "ownBI": ("Отчёты", "BI"),
        "compare": ("Сверить сейчас", "Compare now"), "planReplay": ("Запланировать повтор", "Plan a replay"),
        "dispute.wonUnpaid": ("Выиграно в CRM, денег в отчёте нет", "Won in CRM, no money in the report"),
        "dispute.paidUnseen": ("Оплачено, менеджер не видит", "Paid, and the manager does not see it"),
        "dispute.partlyUnchanged": ("Оплачено частично, статус не изменился", "Paid in part, state unchanged"),
        "dispute.lateChanges": ("Изменено в 1С задним числом", "Changed in 1C after the fact"),
        "document.invoice": ("Счёт", "Invoice"),
        "dispute.claims": ("Клиент говорит, что оплатил", "The client says that he has paid"),
        "claim.unmatched": (
            "Деньги пришли, но не привязаны к заказу.", "The money has come and is linked to no order."
        ),
        "claim.vanished": ("Банк убрал эту оплату из выписки.", "The bank took the payment out of its statement."),
        "claim.not_found": ("Ни в выписках, ни в 1С такой оплаты нет.", "Neither the statements nor 1C have it."),
        "claim.no_statement": ("Выписка за этот день не загружена.", "The statement of that day is not loaded."),
        "orderKind": ("Вид заказа", "Kind of order"),
        "newOrder": ("Заказ в 1С", "Order in 1C"), "item": ("Что заказать", "Item"),
        "quantity": ("Количество", "Quantity"), "price": ("Цена", "Price"),
        "askOrder": ("Передать в 1С", "Send to 1C"), "order": ("Заказ", "Order"),
        "ordered": ("заказано", "ordered"), "shipped": ("отгружено", "shipped"), "paid": ("оплачено", "paid"),
        "owed": ("остаток", "owed"), "revenue": ("выручка", "revenue"), "cost": ("себестоимость", "cost"),
        "margin": ("маржа", "margin"), "payment": ("оплата", "payment"), "exchange": ("обмен", "exchange"),
        "notPosted": ("не проведён", "not posted"),
        "otherBooks": (
            "не учитывается: эти документы ведёт другая база", "not counted: another base keeps such documents"
        ),
        "takenBack": ("отменено", "taken back"),
        "newOwnOrder": ("Новый заказ", "New order"), "makeOrder": ("Оформить", "Make the order"),
        "writeDown": ("Записать", "Write down"), "takeBack": ("отменить", "take back"),
        "whatHappened": ("Что произошло", "What happened"), "sum": ("Сумма", "Sum"), "day": ("Дата", "Day"),
        "paymentsUnknown": (
            "Часть оплат неизвестна: \(OrderState.cannotTell)",
            "Some payments are unknown: this 1C base tells full payment only, without sums"
        ),
        "chat": ("Переписка", "Chat"), "reply": ("Ответить клиенту", "Reply to the client"),
        "send": ("Отправить", "Send"), "release": ("Вернуть боту", "Give back to the bot"),
        "held": ("Диалог ведёт", "The talk is held by"), "botTalks": ("Отвечает бот", "The bot answers"),
        "unknownDelivery": ("неизвестно, дошло ли", "arrival unknown"), "notSent": ("не отправлено", "not sent"),
        "line": ("Сквозной путь", "Journey"), "waits": ("Ждём", "Waiting for"), "owner": ("от кого", "from"),
        "norm": ("норма", "norm"), "cause": ("причина", "cause"),
        "people": ("Люди", "People"), "deals": ("Сделки", "Deals"), "orders": ("Заказы", "Orders"),
        "nothing": ("Ничего не найдено", "Nothing found"),
        "sectionAway": (
            "Этот раздел сейчас недоступен, остальное работает.",
            "This section is not reachable now, everything else works."
        ),
        "flow": ("Движение данных", "Data flow"), "whereOrder": ("Где заказ №…", "Where is order no.…"),
        "waitsNowhere": ("Нигде не ждёт: всё передано.", "It waits nowhere: everything was handed on."),
        "before": ("перед ним", "before it"), "since": ("с", "since"), "behind": ("отстаёт на", "behind by"),
        "drain": ("догонит через", "drained in"), "refilled": ("дозапрошено", "refilled"),
        "decide": ("Решение", "Decision"), "queue": ("Очередь", "Queue"), "oldest": ("старшему", "the oldest"),
        "setAside": ("отложено", "set aside"), "repeat": ("повторить", "repeat"),
        "replays": ("Повторы", "Replays"), "replay": ("Повтор", "Replay"),
        "replayHint": (
            "Сначала список фиксируется и показывается, что изменится; выполняется ровно этот список.",
            "The list is frozen first and what it would change is shown; then exactly this list is done."
        ),
        "service": ("Служба", "Service"), "source": ("Откуда", "From where"),
        "sourceParked": ("отложенные", "set aside"), "sourceTaken": ("уже принятые", "taken before"),
        "from": ("с", "from"), "to": ("по", "to"), "type": ("Вид", "Type"), "key": ("Ключ", "Key"),
        "errorWords": ("Слова из ошибки", "Words of the error"),
        "bodyText": ("Текст в сообщении", "Text in the message"),
        "plan": ("Показать, что изменится", "Show what would change"),
        "noReplays": ("Повторов ещё не было.", "No replays yet."),
        "appliedBy": ("выполнил", "applied by"), "wouldHappen": ("Что изменится", "What would change"),
        "tried": ("Проверено", "Tried"), "wouldSucceed": ("выполнится", "would succeed"),
        "changeNothing": ("без изменений", "without a change"), "wouldFail": ("Не выполнится", "Would fail"),
        "added": ("добавится", "added"), "changed": ("изменится", "changed"), "removed": ("удалится", "removed"),
        "wouldSay": ("сообщит другим", "would say"), "apply": ("Выполнить этот список", "Do exactly this list"),
        "cancel": ("Отменить", "Cancel"), "stop": ("Остановить", "Stop"), "more": ("Дальше", "More"),
        "filter.source": ("откуда", "source"), "filter.parked": ("отложенные", "set aside"),
        "filter.taken": ("уже принятые", "taken before"), "filter.error": ("ошибка", "error"),
        "filter.text": ("текст", "text"),
        "filter.types": ("вид", "type"), "filter.keys": ("ключ", "key"), "filter.from": ("с", "from"),
        "filter.to": ("по", "to"), "filter.ids": ("сообщения", "messages"), "filter.journeyId": ("путь", "journey"),
        "filter.publisher": ("от кого", "publisher"),
        "table.lead": ("Заявки", "Leads"), "table.deal": ("Сделки", "Deals"), "table.sales_order": ("Заказы", "Orders"),
        "table.document": ("Документы 1С", "1C documents"), "table.journey_step": ("Шаги пути", "Steps of journeys"),
        "table.journey": ("Пути", "Journeys"), "table.contact": ("Люди", "People"),
        "table.fact": ("Факты показателей", "Facts"),
        "table.cell": ("Значения показателей", "Figures"),
        "table.chat_message": ("Сообщения переписки", "Chat messages"),
        "table.outbox": ("Сообщения клиентам", "Messages to clients"), "table.notification": ("Письма", "Letters"),
        "table.journey_slice": ("Источники путей", "Sources of journeys"),
        "table.order_out": ("Заказы для 1С", "Orders for 1C"),
    ]

    static func word(_ key: String, _ language: Language) -> String {
        table[key].map { language.pick($0.ru, $0.en) } ?? key
    }

    static func all(_ language: Language) -> [String: String] {
        table.mapValues { language.pick($0.ru, $0.en) }
    }
}
