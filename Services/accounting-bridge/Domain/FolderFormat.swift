import Contracts
import Primitives

/// What the files of the folder exchange hold (`deploy/docs/folder-exchange.md`): an order that goes out, and reports that come back.
enum FolderFormat: String, Sendable {
    case json, csv

    /// Bytes of one report file at most, and orders in it.
    static let sizeLimit = 16 * 1024 * 1024
    static let orderLimit = 10_000

    // MARK: out

    func order(_ outgoing: OutgoingOrder) throws -> [UInt8] {
        switch self {
        case .json: Array(try JSON.encode(OrderFile(outgoing)))
        case .csv: Array(("\u{FEFF}" + CSV.write(Self.table(outgoing))).utf8)
        }
    }

    private struct OrderFile: Encodable {
        let key, number, date, kind, organization: String
        let currency: Currency
        let total: String
        let counterparty: Counterparty
        let contract, address, comment: String?
        let lines: [Line]

        struct Line: Encodable {
            let sku, name: String
            let quantity, price: Quantity
            let unit, vat, discount: String?
            let sum: String
        }

        init(_ outgoing: OutgoingOrder) {
            let order = outgoing.order
            (key, number, date) = (order.orderId.description, order.number, outgoing.day)
            (kind, organization, currency) = (order.kind, order.organization, order.currency)
            (total, counterparty) = (order.total.amount, order.counterparty)
            (contract, address, comment) = (order.contractId, order.address, order.comment)
            lines = order.lines.map {
                Line(
                    sku: $0.sku, name: $0.name, quantity: $0.quantity, price: $0.price, unit: $0.unit, vat: $0.vat,
                    discount: $0.discount?.amount, sum: $0.sum.amount)
            }
        }
    }

    /// A row per line; what is the order's own stands in each.
    private static func table(_ outgoing: OutgoingOrder) -> [[String]] {
        let (order, who) = (outgoing.order, outgoing.order.counterparty)
        let header = [
            "key", "number", "date", "kind", "organization", "currency", "total", "client_id", "client", "inn", "kpp",
            "phone", "email", "contract", "address", "comment", "line", "sku", "name", "quantity", "unit", "price",
            "vat",
            "discount", "sum",
        ]
        let common = [
            order.orderId.description, order.number, outgoing.day, order.kind, order.organization, order.currency.code,
            order.total.amount, who.id.description, who.name, who.inn ?? "", who.kpp ?? "", who.phone ?? "",
            who.email ?? "", order.contractId ?? "", order.address ?? "", order.comment ?? "",
        ]
        return [header]
            + order.lines.enumerated().map { index, line in
                common + [
                    String(index + 1), line.sku, line.name, line.quantity.description, line.unit ?? "",
                    line.price.description, line.vat ?? "", line.discount?.amount ?? "", line.sum.amount,
                ]
            }
    }

    // MARK: back

    /// One order of a report, or why it cannot be understood.
    typealias Heard = (number: String?, result: Result<OrderReport, DriverFailure>)

    /// The orders that a report tells of.
    ///
    /// - Throws: ``DriverFailure/refused(_:)`` when the file as a whole cannot be read.
    static func reports(_ bytes: [UInt8], named name: String, fallback: Currency) throws -> [Heard] {
        guard bytes.count <= sizeLimit else { throw DriverFailure.refused("файл больше \(sizeLimit) байт") }
        let heard: [Heard]
        if name.lowercased().hasSuffix(".csv") {
            heard = try FolderTable.reports(ForeignText(bytes).text, fallback: fallback)
        } else {
            heard = try json(bytes, fallback: fallback)
        }
        guard heard.count <= orderLimit else { throw DriverFailure.refused("в файле больше \(orderLimit) заказов") }
        return heard
    }

    private static func json(_ bytes: [UInt8], fallback: Currency) throws -> [Heard] {
        let body = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes[3...] : bytes[...]
        struct File: Decodable { let orders: [RawJSON] }
        let file: File
        do { file = try JSON.decode(File.self, from: body) } catch {
            throw DriverFailure.refused("это не JSON со списком orders: \(reason(error))")
        }
        return file.orders.map { raw in
            let number = raw["number"]?.plainText
            do { return (number, .success(try FolderOrder(raw).report(fallback: fallback))) } catch {
                return (number, .failure(.refused(reason(error))))
            }
        }
    }

    private static func reason(_ error: any Error) -> String {
        switch error {
        case let failure as DriverFailure: failure.words
        case DecodingError.keyNotFound(let key, _): "нет поля \(key.stringValue)"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context),
            DecodingError.dataCorrupted(let context):
            context.codingPath.isEmpty
                ? "не читается" : "поле \(context.codingPath.map(\.stringValue).joined(separator: ".")) не того вида"
        default: "\(error)"
        }
    }
}

/// One order of a report as its fields stand there, whether in JSON or in rows of a table.
struct FolderOrder: Sendable {
    struct Document: Sendable {
        var kind = ""
        var id, number, date, amount, currency, posted, cancelled: String?
    }
    var number = ""
    var id, systemNumber, total, currency, posted, cancelled, status, paid, shipped, dueDate, refused: String?
    var documents: [Document] = []

    static let documentKinds = ["invoice", "payment", "refund", "shipment", "return"]
    /// Documents of one order at most.
    static let documentLimit = 5000

    func report(fallback: Currency) throws -> OrderReport {
        guard !number.isEmpty else { throw DriverFailure.refused("у заказа нет номера") }
        guard number.utf8.count <= OrderReport.numberLimit, (systemNumber?.utf8.count ?? 0) <= 200 else {
            throw DriverFailure.refused("номер заказа длиннее \(OrderReport.numberLimit) байт")
        }
        guard documents.count <= Self.documentLimit else {
            throw DriverFailure.refused("у заказа больше \(Self.documentLimit) документов")
        }
        let own = try Self.currency(currency, fallback)
        var report = OrderReport(number: number, onecId: id, onecNumber: systemNumber)
        report.total = try Self.money(total, own, "total")
        report.posted = posted.map { OrderReport.isTrue($0) }
        report.cancelled = OrderReport.isTrue(cancelled)
        (report.statusText, report.dueDate) = (status, try Self.day(dueDate))
        (report.paidFlag, report.shippedFlag) = (
            paid.map { OrderReport.isTrue($0) }, shipped.map { OrderReport.isTrue($0) }
        )
        report.rejection = refused?.nonEmpty
        (report.tellsPayments, report.isAsked, report.isWhole) = (true, true, true)
        for document in documents {
            do { report.documents.append(try Self.document(document, own)) } catch let failure as DriverFailure {
                report.refused.append("документ \(document.number ?? document.id ?? document.kind): \(failure.words)")
            }
        }
        return report
    }

    private static func document(_ document: Document, _ own: Currency) throws -> ReportedDocument {
        guard documentKinds.contains(document.kind) else {
            throw DriverFailure.refused(
                "вид «\(document.kind)» неизвестен; бывают \(documentKinds.joined(separator: ", "))")
        }
        guard let id = document.id?.nonEmpty else { throw DriverFailure.refused("нет id") }
        let amount = try money(document.amount, try currency(document.currency, own), "amount")
        if document.kind != "shipment", document.kind != "return", amount == nil {
            throw DriverFailure.refused("нет суммы (amount)")
        }
        if let amount, amount.minor < 0 { throw DriverFailure.refused("сумма меньше нуля") }
        return ReportedDocument(
            kind: document.kind, onecId: id, number: document.number, date: try day(document.date), amount: amount,
            posted: document.posted.map { OrderReport.isTrue($0) } ?? true,
            cancelled: OrderReport.isTrue(document.cancelled))
    }

    private static func currency(_ word: String?, _ fallback: Currency) throws -> Currency {
        guard let word = word?.nonEmpty else { return fallback }
        guard let currency = Currency(onec: word) else { throw DriverFailure.refused("валюта «\(word)» неизвестна") }
        return currency
    }

    private static func money(_ text: String?, _ currency: Currency, _ field: String) throws -> Money? {
        guard let text = text?.nonEmpty else { return nil }
        guard let money = OrderReport.money(text, currency) else {
            throw DriverFailure.refused("сумма «\(text)» (\(field)) не читается")
        }
        return money
    }

    /// `2026-01-31`, with or without a time, or `31.01.2026`.
    private static func day(_ text: String?) throws -> String? {
        guard let text = text?.nonEmpty else { return nil }
        let parts = text.split(separator: ".")
        let iso = parts.count == 3 && parts[2].count >= 4 ? "\(parts[2].prefix(4))-\(parts[1])-\(parts[0])" : text
        guard let day = OrderReport.day(iso) else { throw DriverFailure.refused("дата «\(text)» не читается") }
        return day
    }
}

extension FolderOrder {
    init(_ raw: RawJSON) throws {
        guard case .object(let fields) = raw else { throw DriverFailure.refused("заказ должен быть объектом") }
        func text(_ key: String) throws -> String? { try Self.text(fields, key) }
        number = try text("number") ?? ""
        (id, systemNumber, total, currency) = (
            try text("id"), try text("systemNumber"), try text("total"), try text("currency")
        )
        (posted, cancelled, status) = (try text("posted"), try text("cancelled"), try text("status"))
        (paid, shipped) = (try text("paid"), try text("shipped"))
        (dueDate, refused) = (try text("dueDate"), try text("refused"))
        guard let list = fields["documents"] else { return }
        guard case .array(let items) = list else { throw DriverFailure.refused("documents должен быть списком") }
        documents = try items.map { item in
            guard case .object(let fields) = item else { throw DriverFailure.refused("документ должен быть объектом") }
            var document = Document(kind: try Self.text(fields, "kind") ?? "")
            document.id = try Self.text(fields, "id")
            document.number = try Self.text(fields, "number")
            document.date = try Self.text(fields, "date")
            document.amount = try Self.text(fields, "amount")
            document.currency = try Self.text(fields, "currency")
            document.posted = try Self.text(fields, "posted")
            document.cancelled = try Self.text(fields, "cancelled")
            return document
        }
    }

    /// A text, a number or a flag, as text. A sum as a JSON number with a fraction is refused: it is not exact.
    private static func text(_ fields: [String: RawJSON], _ key: String) throws -> String? {
        guard let value = fields[key], value != .null else { return nil }
        guard let text = value.plainText else {
            throw DriverFailure.refused("поле \(key) должно быть текстом (суммы тоже: \"100.00\")")
        }
        return text
    }
}

extension RawJSON {
    /// A text, a whole number or a flag as text; nil for anything else.
    fileprivate var plainText: String? {
        switch self {
        case .string(let text): text.withoutNUL
        case .int(let number): String(number)
        case .bool(let flag): flag ? "true" : "false"
        case .null, .double, .array, .object: nil
        }
    }
}

/// A report as a table: a row for the order itself, and a row for each of its documents.
enum FolderTable {
    private static let columns = [
        "order": "order", "заказ": "order", "record": "record", "запись": "record", "id": "id", "ид": "id",
        "number": "number", "номер": "number", "date": "date", "дата": "date", "amount": "amount", "сумма": "amount",
        "currency": "currency", "валюта": "currency", "posted": "posted", "проведен": "posted",
        "cancelled": "cancelled", "отменен": "cancelled", "status": "status", "статус": "status", "due": "due",
        "срок": "due", "reason": "reason", "причина": "reason",
    ]
    private static let records = [
        "заказ": "order", "счет": "invoice", "счёт": "invoice", "оплата": "payment", "возврат денег": "refund",
        "отгрузка": "shipment", "возврат товара": "return", "отказ": "refused",
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
            (order.status, order.dueDate) = (fields["status"], fields["due"])
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
