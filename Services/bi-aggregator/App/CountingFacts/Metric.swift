/// The catalogue: what each figure is.
struct Metric: Encodable, Sendable {
    enum Kind: String, Encodable, Sendable { case flow, balance, statistic }
    let name, unit: String
    let kind: Kind
    let definition, source: String
    let dimensions: [String]

    private static let slices = ["channel", "campaign", "manager", "organization"]

    static let all: [Metric] = [
        .init(
            name: "leads.created", unit: "pcs", kind: .flow, definition: "Новые заявки", source: "crm.lead.created",
            dimensions: slices),
        .init(
            name: "deals.created", unit: "pcs", kind: .flow, definition: "Новые сделки", source: "crm.deal.created",
            dimensions: slices),
        .init(
            name: "deals.won", unit: "pcs", kind: .flow, definition: "Выигранные сделки", source: "crm.deal.won",
            dimensions: slices),
        .init(
            name: "orders.sent", unit: "pcs", kind: .flow, definition: "Заказы, которые забрала 1С",
            source: "crm.order.changed", dimensions: slices),
        .init(
            name: "money.received", unit: "currency", kind: .flow, definition: "Проведённые оплаты по дате документа",
            source: "crm.payment.recorded", dimensions: slices),
        .init(
            name: "money.refunded", unit: "currency", kind: .flow,
            definition: "Проведённые возвраты денег по дате документа", source: "crm.payment.recorded",
            dimensions: slices),
        .init(
            name: "receivables.owed", unit: "currency", kind: .balance,
            definition: "Сумма заказа − оплачено + возвращено", source: "crm.order.changed", dimensions: slices),
        .init(
            name: "receivables.overdue", unit: "currency", kind: .balance, definition: "Долг, срок которого прошёл",
            source: "crm.order.changed", dimensions: slices),
        .init(
            name: "funnel.reached", unit: "pcs", kind: .flow, definition: "Сколько обращений дошло до шага",
            source: "crm.*", dimensions: ["step"]),
        .init(
            name: "response.bot", unit: "s", kind: .statistic, definition: "Среднее время ответа бота",
            source: "bot.message.sent", dimensions: ["channel", "campaign"]),
        .init(
            name: "response.human", unit: "s", kind: .statistic, definition: "Среднее время первого ответа менеджера",
            source: "bot.message.sent", dimensions: ["channel", "campaign"]),
    ]

    static func named(_ name: String) -> Metric? { all.first { $0.name == name } }
}
