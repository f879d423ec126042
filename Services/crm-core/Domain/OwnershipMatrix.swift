/// Every kind of data has one owner (rule 1 of the domain, TL-13): who keeps it, who has a copy, and what becomes of a write by anyone else.
enum OwnershipMatrix {
    struct Line: Sendable {
        let data: (ru: String, en: String)
        /// By system: `owner`, `copy`, or `none`.
        let crm, onec, bot, bi: String
        let refusal: (ru: String, en: String)
    }

    static let lines: [Line] = [
        Line(
            data: ("Переписка и согласия", "Conversations and consents"), crm: "copy", onec: "none", bot: "owner",
            bi: "none",
            refusal: (
                "другие службы просят бота ответить, сами не пишут", "others ask the bot to reply, they do not write"
            )),
        Line(
            data: ("Клиент и его имя", "A client and his name"), crm: "owner", onec: "copy", bot: "none", bi: "none",
            refusal: (
                "имя из 1С берётся, если CRM его не меняла; иначе — «изменили обе стороны»",
                "1C's name is taken unless the CRM has changed it; else it is a conflict"
            )),
        Line(
            data: ("ИНН, КПП", "Tax numbers"), crm: "copy", onec: "owner", bot: "none", bi: "none",
            refusal: (
                "правка в CRM уступает 1С и видна как расхождение", "a change in the CRM gives way to 1C and is seen"
            )),
        Line(
            data: ("Сделка, заказ как он запрошен", "Deal, order as asked"), crm: "owner", onec: "copy", bot: "none",
            bi: "copy",
            refusal: (
                "1С сообщает свой заказ рядом, запрошенный не меняется",
                "1C's own order stands beside, what was asked stays"
            )),
        Line(
            data: ("Документы и их номера: счёт, оплата, отгрузка, возврат", "Documents and their numbers"),
            crm: "copy",
            onec: "owner", bot: "none", bi: "copy",
            refusal: (
                "пока учёт ведёт 1С, записать оплату в CRM нельзя; документ не той базы откладывается с причиной",
                "while 1C keeps the books the CRM takes no payment; a document of another base is set aside"
            )),
        Line(
            data: ("Остатки, цены, юридические реквизиты товаров", "Stock, prices, goods"), crm: "none", onec: "owner",
            bot: "none", bi: "none",
            refusal: ("показываются из моста, в CRM не хранятся", "shown from the bridge, not stored in the CRM")),
        Line(
            data: ("Выписка банка", "Bank statement"), crm: "copy", onec: "none", bot: "none", bi: "copy",
            refusal: (
                "файл банка — источник; решения людей записаны рядом",
                "the bank's file is the source; decisions stand beside"
            )),
        Line(
            data: ("Показатели и нормы", "Metrics and norms"), crm: "none", onec: "none", bot: "none", bi: "owner",
            refusal: ("считаются из фактов, руками не вводятся", "counted from facts, never typed in")),
    ]
}
