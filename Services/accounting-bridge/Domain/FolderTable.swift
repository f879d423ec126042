import Primitives

/// A report as a table: a row for the order itself, and a row for each of its documents.
enum FolderTable {
    private static let columns = [
        "order": "order", "заказ": "order", "record": "record", "запись": "record", "id": "id", "ид": "id",
        "number": "number", "номер": "number", "date": "date", "дата": "date", "amount": "amount", "сумма": "amount",
        "currency": "currency", "валюта": "currency", "posted": "posted", "проведен": "posted",
        "cancelled": "cancelled", "отменен": "cancelled", "status": "status", "статус": "status", "due": "due",
        "срок": "due", "cost": "cost", "себестоимость": "cost", "reason": "reason", "причина": "reason",
        "department": "department", "отдел": "department", "done": "done", "исполнено": "done", "by": "by",
        "исполнил": "by", "client_id": "clientId", "код клиента": "clientId", "client": "client", "клиент": "client",
        "inn": "inn", "инн": "inn", "kpp": "kpp", "кпп": "kpp",
        "organization": "organization", "организация": "organization",
    ]
    private static let records = [
        "заказ": "order", "счет": "invoice", "счёт": "invoice", "оплата": "payment", "возврат денег": "refund",
        "отгрузка": "shipment", "возврат товара": "return", "отказ": "refused",
        "отметка": "mark",
    ]

    static func reports(_ text: String, fallback: Currency) throws -> [FolderFormat.Heard] {
        let rows: [CSV.Row]
        do { rows = try CSV.read(text) } catch {
            throw DriverFailure.refused("строка \(error.line): \(error.reason)")
        }
        guard let header = rows.first else { throw DriverFailure.refused("файл пуст") }
        let names = header.fields.map { columns[$0.trimmed.lowercased()] }
        for wanted in ["order", "record"] where !names.contains(wanted) {
            throw DriverFailure.refused("в первой строке нет столбца \(wanted)")
        }
        var (orders, sequence, problems) = ([String: FolderOrder](), [String](), [String: String]())
        for row in rows.dropFirst() {
            var fields: [String: String] = [:]
            for (name, value) in zip(names, row.fields) {
                if let name, let value = value.trimmed.nonEmpty { fields[name] = value }
            }
            let number = fields["order"] ?? ""
            if orders[number] == nil {
                orders[number] = FolderOrder(number: number)
                sequence.append(number)
            }
            if row.fields.count > names.count {
                problems[number] = "строка \(row.line): полей больше, чем столбцов"
            } else if let problem = add(fields, to: &orders[number]!) {
                problems[number] = "строка \(row.line): \(problem)"
            }
        }
        return sequence.map { number in
            if let problem = problems[number] { return (number.nonEmpty, .failure(.refused(problem))) }
            do { return (number.nonEmpty, .success(try orders[number]!.report(fallback: fallback))) } catch {
                return (number.nonEmpty, .failure((error as? DriverFailure) ?? .refused("\(error)")))
            }
        }
    }

    /// - Returns: what is wrong with the row.
    private static func add(_ fields: [String: String], to order: inout FolderOrder) -> String? {
        guard fields["order"] != nil else { return "нет номера заказа" }
        let word = fields["record"]?.lowercased() ?? ""
        switch records[word] ?? word {
        case "order":
            (order.id, order.systemNumber, order.total) = (fields["id"], fields["number"], fields["amount"])
            (order.currency, order.posted, order.cancelled) = (
                fields["currency"], fields["posted"], fields["cancelled"]
            )
            (order.status, order.dueDate, order.cost) = (fields["status"], fields["due"], fields["cost"])
            (order.date, order.clientId, order.client) = (fields["date"], fields["clientId"], fields["client"])
            (order.inn, order.kpp, order.organization) = (fields["inn"], fields["kpp"], fields["organization"])
        case "mark":
            order.marks.append(
                .init(
                    department: fields["department"] ?? "", done: fields["done"], by: fields["by"], at: fields["date"]))
        case "refused": order.refused = fields["reason"] ?? "без причины"
        case let kind where FolderOrder.documentKinds.contains(kind):
            order.documents.append(
                .init(
                    kind: kind, id: fields["id"], number: fields["number"], date: fields["date"],
                    amount: fields["amount"], currency: fields["currency"], posted: fields["posted"],
                    cancelled: fields["cancelled"]))
        default: return "запись «\(word)» неизвестна"
        }
        return nil
    }
}
