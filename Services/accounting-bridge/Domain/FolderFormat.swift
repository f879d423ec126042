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
        let contract, address, comment, booking: String?
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
            booking = order.bookingId
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
            "discount", "sum", "booking",
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
                    order.bookingId ?? "",
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
