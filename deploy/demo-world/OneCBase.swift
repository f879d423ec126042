import Contracts
import Curl
import Primitives
import ServiceKit

/// A 1C base that polls the exchange: УНФ, which sends each payment as a subordinate document, or УТ 11, which tells only
/// that an order is paid in full. Orders are paid fully, in parts, or late.
struct OneCBase: Sendable {
    let name: String
    let tellsPayments: Bool
    let company: DemoCompany
    let suite: SuiteAPI
    /// Where the money of a base that tells no partial payments is seen.
    var bank: DemoBank?

    private struct Order {
        let number, total: String
        var age = 0
        var paidShares = 0
        var isShipped = false
        var isNew = true
        /// 0 pays at once, 1 in two parts, 2 late.
        let habit: Int
    }

    func run() async {
        var orders: [Order] = []
        await sendGoods()
        var hasToldOwn = !tellsPayments
        while !Task.isCancelled {
            if !hasToldOwn { hasToldOwn = await tellOwnOrders() }
            if let cookie = await call("checkauth")?.split(separator: "\n").last.map(String.init) {
                if let xml = await call("query", cookie: cookie) {
                    for (number, total) in Self.read(xml) {
                        orders.append(
                            Order(number: number, total: total, habit: Int(number.suffix(1)).map { $0 % 3 } ?? 0))
                    }
                    _ = await call("success", cookie: cookie)
                }
                for index in orders.indices {
                    let paid = orders[index].paidShares
                    if let xml = step(&orders[index]) {
                        if orders[index].paidShares > paid { await payByBank(orders[index]) }
                        _ = await call("file", cookie: cookie, file: "orders-\(orders[index].number).xml", body: xml)
                    }
                }
                orders.removeAll { $0.age > 40 }
            }
            try? await Task.sleep(for: .seconds(4))
        }
    }

    private func payByBank(_ order: Order) async {
        guard let bank, let total = Money(order.total, .rub) else { return }
        let part = order.habit == 1 ? Money(minor: total.minor * 3 / 10, currency: .rub) : total
        let share = order.habit == 1 && order.paidShares == 2 ? total - part : part
        await bank.pay(share, purpose: "Оплата по счету № \(order.number)")
        if order.habit == 2 {
            await bank.pay(Money(minor: 1_500_000, currency: .rub), purpose: "Оплата за оборудование")
        }
    }

    /// A catalog in one session, as УТ and УНФ send it: goods, then offers.
    private func sendGoods() async {
        let goods = DemoGoods.all
        let root = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><КоммерческаяИнформация ВерсияСхемы=\"2.07\">"
        let items = goods.enumerated().map { index, good in
            "<Товар><Ид>\(name)-\(index)</Ид><Артикул>\(good.article)</Артикул><Наименование>\(good.name)</Наименование><БазоваяЕдиница>шт</БазоваяЕдиница></Товар>"
        }
        let offers = goods.enumerated().map { index, good in
            "<Предложение><Ид>\(name)-\(index)</Ид><Цены><Цена><ИдТипаЦены>retail</ИдТипаЦены><ЦенаЗаЕдиницу>\(good.price)</ЦенаЗаЕдиницу><Валюта>руб</Валюта></Цена></Цены><Количество>\(good.stock)</Количество></Предложение>"
        }
        let files = [
            (
                "import.xml",
                "\(root)<Каталог СодержитТолькоИзменения=\"false\"><Ид>k</Ид><Товары>\(items.joined())</Товары></Каталог></КоммерческаяИнформация>"
            ),
            (
                "offers.xml",
                "\(root)<ПакетПредложений><Ид>k#</Ид><ТипыЦен><ТипЦены><Ид>retail</Ид><Наименование>Розничная</Наименование><Валюта>руб</Валюта></ТипЦены></ТипыЦен><Предложения>\(offers.joined())</Предложения></ПакетПредложений></КоммерческаяИнформация>"
            ),
        ]
        guard let cookie = await call("checkauth", type: "catalog")?.split(separator: "\n").last.map(String.init) else {
            return
        }
        _ = await call("init", type: "catalog", cookie: cookie)
        for (file, body) in files { _ = await call("file", type: "catalog", cookie: cookie, file: file, body: body) }
        for (file, _) in files {
            for _ in 0..<20 {
                let answer = await call("import", type: "catalog", cookie: cookie, file: file)
                guard answer?.hasPrefix("progress") == true else { break }
            }
        }
    }

    func call(
        _ mode: String, type: String = "sale", cookie: String? = nil, file: String? = nil, body: String? = nil
    ) async -> String? {
        var headers = [("Authorization", "Basic \(basic)")]
        if let cookie { headers.append(("Cookie", "throughline_1c=\(cookie)")) }
        let url =
            suite.url(.accountingBridge) + "/1c/exchange?type=\(type)&mode=\(mode)"
            + (file.map { "&filename=\($0)" } ?? "")
        let answer = try? await suite.http.send(
            .init(body == nil ? "GET" : "POST", url, headers: headers, body: body.map { Array($0.utf8) }))
        return answer.flatMap { $0.status == 200 ? String(decoding: $0.body, as: UTF8.self) : nil }
    }

    private var basic: String { Basic.encode("\(name):demo-\(name)") }

    /// Numbers and sums of the orders in an answer.
    private static func read(_ xml: String) -> [(String, String)] {
        xml.components(between: "<Документ>", and: "</Документ>").compactMap { document in
            guard let number = document.components(between: "<Номер>", and: "</Номер>").first,
                let total = document.components(between: "<Сумма>", and: "</Сумма>").first
            else { return nil }
            return (number, total)
        }
    }

    /// One round of an order's life; the file when something changed.
    private func step(_ order: inout Order) -> String? {
        order.age += 1
        var changed = order.isNew
        order.isNew = false
        let parts = order.habit == 1 ? 2 : 1
        let due = order.habit == 2 ? 8 : 2
        if order.paidShares < parts, order.age >= due + order.paidShares * 4 {
            order.paidShares += 1
            changed = true
        }
        if !order.isShipped, order.paidShares == parts, order.age >= due + 8 {
            order.isShipped = true
            changed = true
        }
        return changed ? document(order, parts) : nil
    }

    private func document(_ order: Order, _ parts: Int) -> String {
        guard let total = Money(order.total, .rub) else { return "" }
        let day = String(Timestamp.now().day)
        var children = ""
        var paid: Int64 = 0
        for part in 0..<order.paidShares {
            let share = part + 1 == parts ? total.minor - paid : total.minor * 3 / 10
            paid += share
            children += child("p\(part)", "Выплата безналичных денег", Money(minor: share, currency: .rub), order, day)
        }
        if order.isShipped { children += child("s", "Отпуск товара", total, order, day) }
        var values = [("Номер по 1С", "\(tellsPayments ? "НФ" : "ТД")-\(order.number)"), ("Проведен", "true")]
        if tellsPayments {
            values += [
                ("Оплачен", order.paidShares == parts ? "true" : "false"),
                ("Статус заказа", order.isShipped ? "Завершен" : "В работе"),
            ]
        } else {
            if order.paidShares == parts {
                values += [("Номер оплаты по 1С", "ПП-\(order.number)"), ("Дата оплаты по 1С", day)]
            }
            if order.isShipped {
                values += [("Номер отгрузки по 1С", "РТ-\(order.number)"), ("Дата отгрузки по 1С", day)]
            }
        }
        let root =
            tellsPayments
            ? "xmlns=\"urn:1C.ru:commerceml_210\" ВерсияСхемы=\"2.10\""
            : "xmlns=\"urn:1C.ru:commerceml_2\" ВерсияСхемы=\"2.07\""
        return
            "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<КоммерческаяИнформация \(root) ДатаФормирования=\"\(day)\"><Документ><Ид>\(name)-\(order.number)</Ид><Номер>\(order.number)</Номер><Дата>\(day)</Дата><ХозОперация>Заказ товара</ХозОперация><Роль>Продавец</Роль><Валюта>руб</Валюта><Курс>1</Курс><Сумма>\(order.total)</Сумма>"
            + (tellsPayments ? "<ПодчиненныеДокументы>\(children)</ПодчиненныеДокументы>" : "")
            + requisites(values) + "</Документ></КоммерческаяИнформация>"
    }

    private func child(_ id: String, _ operation: String, _ sum: Money, _ order: Order, _ day: String) -> String {
        "<ПодчиненныйДокумент><Ид>\(name)-\(order.number)-\(id)</Ид><Дата>\(day)T9:05:00</Дата><ХозОперация>\(operation)</ХозОперация><Сумма>\(sum.amount)</Сумма><Валюта>руб</Валюта>"
            + requisites([("Проведен", "true"), ("Номер по 1С", "\(id)-\(order.number)")]) + "</ПодчиненныйДокумент>"
    }

    private func requisites(_ values: [(String, String)]) -> String {
        "<ЗначенияРеквизитов>"
            + values.map {
                "<ЗначениеРеквизита><Наименование>\($0.0)</Наименование><Значение>\($0.1)</Значение></ЗначениеРеквизита>"
            }.joined() + "</ЗначенияРеквизитов>"
    }
}
