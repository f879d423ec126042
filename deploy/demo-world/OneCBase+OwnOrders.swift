import Primitives

/// Orders that the base's own people have made in it: nobody asked for them in a chat.
extension OneCBase {
    private static let made = [
        (
            key: "6a1d0f52-1c1d-41ef-9c3a-0050568b35ac", number: "НФНФ-000231", client: "Северный ветер",
            inn: "7728168971",
            good: DemoGoods.all[0], count: 2, paid: "100000.00"
        ),
        (
            key: "6a1d0f52-1c1d-41ef-9c3a-0050568b35ad", number: "НФНФ-000232", client: "Ромашка", inn: "7736050003",
            good: DemoGoods.all[1], count: 1, paid: ""
        ),
    ]

    /// - Returns: whether they were taken.
    func tellOwnOrders() async -> Bool {
        guard let cookie = await call("checkauth")?.split(separator: "\n").last.map(String.init) else { return false }
        let day = "2026-11-20"
        let documents = Self.made.compactMap { order -> String? in
            guard let price = Money(order.good.price, .rub) else { return nil }
            let total = Money(minor: price.minor * Int64(order.count), currency: .rub).amount
            let payment =
                order.paid.isEmpty
                ? ""
                : "<ПодчиненныйДокумент><Ид>\(order.key)-p</Ид><Дата>\(day)T9:05:00</Дата><ХозОперация>Выплата безналичных денег</ХозОперация><Сумма>\(order.paid)</Сумма><Валюта>руб</Валюта></ПодчиненныйДокумент>"
            return
                "<Документ><Ид>\(order.key)</Ид><Номер>\(order.number)</Номер><Дата>\(day)</Дата><ХозОперация>Заказ товара</ХозОперация><Роль>Продавец</Роль><Валюта>руб</Валюта><Сумма>\(total)</Сумма>"
                + "<Контрагенты><Контрагент><Ид>card-\(order.inn)</Ид><Наименование>\(order.client)</Наименование><ИНН>\(order.inn)</ИНН><Роль>Покупатель</Роль></Контрагент></Контрагенты>"
                + "<Товары><Товар><Ид>\(order.good.article)</Ид><Артикул>\(order.good.article)</Артикул><Наименование>\(order.good.name)</Наименование><Количество>\(order.count)</Количество><ЦенаЗаЕдиницу>\(order.good.price)</ЦенаЗаЕдиницу><Сумма>\(total)</Сумма></Товар></Товары>"
                + "<ПодчиненныеДокументы>\(payment)</ПодчиненныеДокументы></Документ>"
        }
        let xml =
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><КоммерческаяИнформация xmlns=\"urn:1C.ru:commerceml_210\" ВерсияСхемы=\"2.10\">\(documents.joined())</КоммерческаяИнформация>"
        return await call("file", cookie: cookie, file: "orders-own.xml", body: xml)?.hasPrefix("success") == true
    }
}
