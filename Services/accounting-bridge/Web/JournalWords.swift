import Primitives
import ServiceKit

/// The journal's words, Russian first.
enum JournalWords {
    private static let table: [String: (ru: String, en: String)] = [
        "goods": ("Товары 1С", "1C's goods"), "goodsHint": ("название, артикул, штрихкод", "name, article, barcode"),
        "goodChosen": ("Выбрано. Заказов отправлено снова:", "Chosen. Orders that go again:"),
        "whichGood": ("Какой товар 1С имеется в виду", "Which of 1C's goods is meant"),
        "thisGood": ("Это он", "This one"),
        "find": ("Найти", "Find"),
        "noGoods": ("Товаров нет: 1С их ещё не выгружала.", "No goods: 1C has not sent any yet."),
        "deleted": ("удалён", "deleted"), "sku": ("арт.", "art."), "stock": ("остаток", "stock"),
        "catalog.checkauth": ("вход", "log-in"), "catalog.init": ("начало", "beginning"),
        "catalog.file": ("файл товаров", "file of goods"), "catalog.import": ("загрузка товаров", "import of goods"),
        "whyHint": ("номер заказа, клиент или ИНН", "order number, client or INN"),
        "why": ("Что с заказом?", "What of an order?"), "noOrders": ("Таких заказов нет.", "No such orders."),
        "order": ("Заказ", "Order"), "inn": ("ИНН", "INN"), "again": ("Повторить", "Do it again"),
        "bytes": ("исходные данные", "raw data"), "order.ready": ("ждёт 1С", "waits for 1C"),
        "order.sent": ("в 1С", "in 1C"), "order.withdrawn": ("отменён", "withdrawn"),
        "order.refused": ("отложен", "set aside"),
        "bank": ("Банк", "Bank"), "bank.statement": ("выписка банка", "bank statement"),
        "title": ("Журнал обмена с 1С", "Exchange with 1C"), "all": ("все", "all"),
        "parked": ("отложен", "parked"), "refused": ("отказ", "refused"), "ok": ("выполнен", "done"),
        "open": ("без ответа", "no answer"), "failed": ("ошибка", "failed"),
        "waiting": ("заказов ждёт", "orders waiting"), "lastSuccess": ("последний обмен", "last exchange"),
        "empty": (
            "Обменов пока не было. Настройте 1С по инструкции «Подключение».",
            "No exchange yet. Set 1C up as “Connecting” says."
        ),
        "older": ("раньше", "older"), "journey": ("Сквозной путь", "Journey"), "request": ("Запрос", "Request"),
        "answer": ("Ответ", "Answer"), "cut": ("показано начало, остальное в API", "cut here, the API has the rest"),
        "clients": ("Клиенты 1С", "1C's clients"), "openIn1C": ("Открыть в 1С", "Open in 1C"),
        "inDoubt": ("проверяем, дошли ли", "looking whether they arrived"),
        "lagOut": ("ждут", "wait for"),
        "lagIn": ("с последнего чтения ответов прошло", "since answers were last read"),
        "drain": ("пройдут за", "through in"),
        "unknown": ("неизвестно", "unknown"), "prevented": ("двойных документов предотвращено", "duplicates prevented"),
        "errorShare": ("ошибок за сутки", "errors in 24 hours"),
        "was.name": ("до этого назывался", "was called before"),
        "was.sku": ("до этого был артикул", "had before the article"),
        "isDeleted.true": ("помечен на удаление", "marked as deleted"),
        "isDeleted.false": ("пометка удаления снята", "no longer marked as deleted"),
        "lastWrittenBy": ("последним записал в 1С", "last written in 1C by"),
        "byOnecClock": ("по часам 1С", "by 1C's clock"),
        "whoIsUnknown": ("кто изменил, неизвестно", "who changed it is not known"),
        "goodChanges": ("Последние изменения", "Latest changes"),
        "quiet": ("тихие часы", "quiet hours"), "pausedBy": ("приостановил", "paused by"),
        "breakerOpen": ("не отвечает, следующая попытка в", "does not answer, next attempt at"),
        "pause": ("Приостановить", "Pause"), "resume": ("Возобновить", "Resume"),
        "order.sending": ("передаётся", "being sent"), "order.doubtful": ("проверяется", "being looked up"),
        "odata.order": ("заказ в 1С", "order to 1C"), "odata.post": ("проведение", "posting"),
        "odata.find": ("поиск в 1С", "look-up in 1C"), "odata.client": ("контрагент в 1С", "counterparty in 1C"),
        "odata.clients": ("чтение контрагентов", "reading of counterparties"),
        "odata.goods": ("чтение товаров", "reading of goods"),
        "odata.state": ("состояние заказов", "state of orders"),
        "odata.changes": ("вопрос об изменениях", "question for changes"),
        "odata.versions": ("кто изменил документ", "who changed a document"),
        "odata.author": ("имя автора изменения", "name of who changed it"),
        "odata.born": ("поиск заказов, сделанных в 1С", "look for orders made in 1C"),
        "odata.received": ("подтверждение изменений", "confirmation of changes"),
        "odata.metadata": ("описание базы", "description of the base"),
        "folder.find": ("поиск в папке", "look-up in the folder"),
        "folder.order": ("заказ в папку", "order to the folder"),
        "enterprise.order": ("регистрация заказа", "registration of an order"),
        "enterprise.again": ("отправка снова", "sending again"),
        "enterprise.find": ("поиск заказа", "look-up of an order"),
        "enterprise.message": ("сообщение EnterpriseData", "message of EnterpriseData"),
        "folder.report": ("отчёт из папки", "report from the folder"),
        "inquiry.prices": ("вопрос о ценах", "question for prices"),
        "inquiry.receipts": ("вопрос о чеках", "question for receipts"),
        "inquiry.print": ("печать чека", "print of a receipt"),
        "cannotTell": (
            "частичные оплаты: эта база ещё не присылала их документами",
            "partial payments: this base has not sent them as documents yet"
        ),
        "in": ("от 1С", "from 1C"), "out": ("в 1С", "to 1C"), "base": ("база", "base"),
        "direction": ("направление", "direction"), "result": ("итог", "result"), "kind": ("вид", "kind"),
        "from": ("с", "from"), "to": ("по", "to"), "text": ("текст", "text"), "search": ("Показать", "Show"),
        "filter": ("Отобрать обмены", "Narrow the exchanges"), "reset": ("Сбросить", "Reset"),
        "nothing": ("Таких обменов нет.", "No such exchanges."),
        "binary": ("двоичные данные", "binary data"), "byteUnit": ("байт", "bytes"),
        "download": ("скачать как есть", "download as it is"),
        "hand": ("Файлы вручную", "Files by hand"),
        "hand.orders": ("файл заказов для 1С", "file of orders for 1C"),
        "hand.taken": ("файл загружен в 1С", "file taken by 1C"), "hand.file": ("файл из 1С", "file from 1C"),
        "handHint": (
            "Когда 1С не может выйти на связь сама: файлы те же, что в обмене, и ничего не создаётся дважды.",
            "For when 1C cannot reach us itself: the same files as in the exchange, and nothing is made twice."
        ),
        "handOrders": ("Заказы для 1С", "Orders for 1C"), "handPrepare": ("Подготовить файл", "Prepare the file"),
        "handDownload": ("Скачать файл", "Download the file"),
        "handConfirm": ("1С загрузила этот файл", "1C has taken this file"),
        "handDiscard": ("Файл не понадобился", "The file is not needed"),
        "hand.discarded": ("файл не понадобился", "file not needed"),
        "handTaken": ("Файл загружен в 1С", "1C has taken the file"),
        "handFrom": ("Файл из 1С", "A file from 1C"),
        "handFromHint": (
            "Заказы с оплатами и отгрузками или товары (CommerceML, также zip); сообщение EnterpriseData; отчёт для обмена через папку",
            "Orders with payments and shipments, or goods (CommerceML, also zipped); a message of EnterpriseData; a report for a folder"
        ),
        "handSend": ("Передать", "Hand over"), "handOrdersIn": ("Заказы в файле", "Orders in the file"),
        "sale.checkauth": ("вход", "log-in"), "sale.init": ("начало", "beginning"),
        "sale.query": ("запрос заказов", "query of orders"), "sale.success": ("подтверждение", "acknowledgement"),
        "sale.file": ("файл от 1С", "file from 1C"), "sale.import": ("загрузка файла", "import of a file"),
    ]

    /// Kinds of exchanges that have words.
    static let kinds = table.keys.filter { $0.contains(".") && !$0.hasPrefix("order.") }

    static func word(_ key: String, _ language: Language) -> String {
        table[key].map { language.pick($0.ru, $0.en) } ?? key
    }

    static func all(_ language: Language) -> [String: String] {
        table.mapValues { language.pick($0.ru, $0.en) }
    }
}
