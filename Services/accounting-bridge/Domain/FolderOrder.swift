import Contracts
import Primitives

/// One order of a report as its fields stand there, whether in JSON or in rows of a table.
struct FolderOrder: Sendable {
    struct Document: Sendable {
        var kind = ""
        var id, number, date, amount, currency, posted, cancelled: String?
    }
    var number = ""
    var id, systemNumber, total, cost, currency, posted, cancelled, status, paid, shipped, dueDate, refused: String?
    /// Of an order that was made in the system: its day, its client's card there, and the organization (code or INN).
    var date, clientId, client, inn, kpp, organization: String?
    var documents: [Document] = []
    /// Marks of departments, on an order for signing.
    var marks: [Mark] = []

    struct Mark: Sendable {
        var department = ""
        var done, by, at: String?
    }
    /// Marks of one order at most.
    static let markLimit = 50

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
        if BornOrder.isOne(number), refused == nil {
            report.born = try born(report.total)
            report.onecNumber = systemNumber ?? number
            report.client = report.born?.client
        }
        report.cost = try Self.money(cost, own, "cost")
        report.posted = posted.map { OrderReport.isTrue($0) }
        report.cancelled = OrderReport.isTrue(cancelled)
        (report.statusText, report.dueDate) = (status, try Self.day(dueDate))
        (report.paidFlag, report.shippedFlag) = (
            paid.map { OrderReport.isTrue($0) }, shipped.map { OrderReport.isTrue($0) }
        )
        report.rejection = refused?.nonEmpty
        guard marks.count <= Self.markLimit else {
            throw DriverFailure.refused("у заказа больше \(Self.markLimit) отметок")
        }
        for mark in marks {
            do { report.flags.append(try Self.mark(mark)) } catch let failure as DriverFailure {
                report.refused.append("отметка \(mark.department): \(failure.words)")
            }
        }
        (report.tellsPayments, report.isAsked, report.isWhole) = (true, true, true)
        for document in documents {
            do { report.documents.append(try Self.document(document, own)) } catch let failure as DriverFailure {
                report.refused.append("документ \(document.number ?? document.id ?? document.kind): \(failure.words)")
            }
        }
        return report
    }

    private func born(_ total: Money?) throws -> BornOrder {
        guard let id = id?.nonEmpty, id.utf8.count <= OrderReport.idLimit, let total else {
            throw DriverFailure.refused(
                "заказ с номером \(number) не наш: чтобы взять его как заказ системы, нужны id (до \(OrderReport.idLimit) байт) и total"
            )
        }
        return BornOrder(
            key: id, number: systemNumber ?? number, day: try Self.day(date), total: total,
            client: ClientCard(onecId: clientId, name: client, inn: inn, kpp: kpp),
            organization: organization?.nonEmpty)
    }

    private static func mark(_ mark: Mark) throws -> ReportedFlag {
        guard let department = mark.department.nonEmpty else { throw DriverFailure.refused("нет отдела") }
        let at = try mark.at?.nonEmpty.map { text in
            if let at = Timestamp(text) { return at }
            guard let day = try day(text), let at = Timestamp(day) else {
                throw DriverFailure.refused("дата «\(text)» не читается")
            }
            return at
        }
        return ReportedFlag(
            department: department, done: mark.done.map { OrderReport.isTrue($0) } ?? true, by: mark.by?.nonEmpty,
            at: at)
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
        cost = try text("cost")
        (posted, cancelled, status) = (try text("posted"), try text("cancelled"), try text("status"))
        (paid, shipped) = (try text("paid"), try text("shipped"))
        (dueDate, refused) = (try text("dueDate"), try text("refused"))
        (date, organization) = (try text("date"), try text("organization"))
        if let card = fields["client"], card != .null {
            guard case .object(let fields) = card else { throw DriverFailure.refused("client должен быть объектом") }
            (clientId, client) = (try Self.text(fields, "id"), try Self.text(fields, "name"))
            (inn, kpp) = (try Self.text(fields, "inn"), try Self.text(fields, "kpp"))
        }
        if let list = fields["marks"] {
            guard case .array(let items) = list else { throw DriverFailure.refused("marks должен быть списком") }
            marks = try items.map { item in
                guard case .object(let fields) = item else {
                    throw DriverFailure.refused("отметка должна быть объектом")
                }
                return Mark(
                    department: try Self.text(fields, "department") ?? "", done: try Self.text(fields, "done"),
                    by: try Self.text(fields, "by"), at: try Self.text(fields, "at"))
            }
        }
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
    var plainText: String? {
        switch self {
        case .string(let text): text.withoutNUL
        case .int(let number): String(number)
        case .bool(let flag): flag ? "true" : "false"
        case .null, .double, .array, .object: nil
        }
    }
}
