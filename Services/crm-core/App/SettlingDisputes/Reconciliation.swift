import Contracts
import Postgres
import Primitives
import ServiceKit

/// One version of truth (TL-05): every payment and refund as 1C and the bank tell it, as the CRM has it, and as the report counts it, compared one
/// by one. Services are asked with the session of the person who compares.
struct Reconciliation: Sendable {
    let pool: PostgresPool
    let others: OtherServices

    struct Difference: AnswerShape, Decodable {
        let key, orderNumber: String
        /// The sum that each counts; nil: it counts none.
        let books, crm, report: Money?
        let words: String
    }
    struct Answer: AnswerShape {
        let checked: Int
        let differences: [Difference]
        let at: Timestamp
    }

    /// Documents of one comparison, and differences that it lists, at most.
    static let documentLimit = 20_000
    static let differenceLimit = 200
    private static let pageSize = 200
    private static let tooMany = Problem.conflict(
        "больше \(documentLimit) документов: сравнение по частям ещё не сделано, и неполное было бы неправдой")

    /// - Throws: `OtherServices.Away` when one does not answer: what is not known is not compared.
    func run(session: String) async throws -> Answer {
        var (books, crm, report) = ([String: Money](), [String: Money](), [String: Money]())
        let told = try await all(.accountingBridge, "/api/v1/told-money", session)
        for item in told {
            guard item["counted"] == .bool(true), let key = item["key"]?.stringValue else { continue }
            books[key] = Self.money(item["amount"])
        }
        var currencies: Set<String> = []
        let rows = try await pool.query(
            """
            SELECT c.base, c.kind, c.onec_id, o.number, c.amount_minor, c.currency FROM document c
            JOIN sales_order o ON o.id = c.order_id
            WHERE c.kind IN ('payment', 'refund') AND c.amount_minor IS NOT NULL AND \(OrderDocuments.counts)
            LIMIT \(Self.documentLimit + 1)
            """)
        guard rows.count <= Self.documentLimit else { throw Self.tooMany }
        for row in rows {
            let key = PaymentRecorded.key(
                base: try row.string("base"), kind: try row.string("kind"), onecId: try row.string("onec_id"),
                order: try row.string("number"))
            crm[key] = try row.money("amount_minor")
            currencies.insert(try row.string("currency"))
            // Without 1C the CRM's own books are the books.
            if key.hasPrefix("\(OwnBooks.name)/") { books[key] = crm[key] }
        }
        currencies.formUnion(books.values.map(\.currency.code))
        for currency in currencies {
            for metric in ["money.received", "money.refunded"] {
                let path = "/api/v1/metrics/\(metric)/origin?where=currency:\(currency)"
                for item in try await all(.biAggregator, path, session) {
                    guard let key = item["id"]?.stringValue, let code = Currency(currency) else { continue }
                    report[key] = Self.plain(item["amount"]?.stringValue, code)
                }
            }
        }
        let keys = Set(books.keys).union(crm.keys).union(report.keys)
        let differences =
            BooksCompared(told).differences
            + keys.sorted().compactMap { key -> Difference? in
                let (b, c, r) = (books[key], crm[key], report[key])
                guard b != c || c != r else { return nil }
                return Difference(
                    key: key, orderNumber: key.split(separator: "/").last.map(String.init) ?? "", books: b, crm: c,
                    report: r,
                    words: Self.words(b, c, r))
            }
        return Answer(
            checked: keys.count, differences: Array(differences.prefix(Self.differenceLimit)), at: .now())
    }

    private static func words(_ books: Money?, _ crm: Money?, _ report: Money?) -> String {
        switch (books, crm, report) {
        case (nil, _?, _): "1С и банк такого документа больше не сообщают, а в CRM он учтён"
        case (_?, nil, _): "1С или банк сообщают оплату, а в CRM она не учтена"
        case (_, _?, nil): "в CRM учтено, в отчёте нет"
        case (nil, nil, _?): "в отчёте учтено то, чего нет ни в CRM, ни в 1С"
        default: "суммы различаются"
        }
    }

    private func all(_ service: ServiceIdentity, _ path: String, _ session: String) async throws -> [RawJSON] {
        var items: [RawJSON] = []
        var after: String?
        repeat {
            let mark = after.map { "&after=\(Form.encoded($0))" } ?? ""
            let answer = try await others.get(
                service, path + (path.contains("?") ? "&" : "?") + "limit=\(Self.pageSize)\(mark)", session: session)
            guard answer.status == 200 else { throw OtherServices.Away() }
            items += answer.json["items"]?.items ?? []
            after = answer.json["next"]?.stringValue
            guard items.count <= Self.documentLimit else { throw Self.tooMany }
        } while after != nil
        return items
    }

    static func money(_ json: RawJSON?) -> Money? {
        guard let currency = json?["currency"]?.stringValue.flatMap({ Currency($0) }) else { return nil }
        return plain(json?["amount"]?.stringValue, currency)
    }

    /// BI's amounts have more places than a currency: `30.0000`.
    private static func plain(_ text: String?, _ currency: Currency) -> Money? { text.flatMap { Money($0, currency) } }
}
