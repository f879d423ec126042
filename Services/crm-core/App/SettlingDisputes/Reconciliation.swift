import Contracts
import Postgres
import Primitives
import ServiceKit

/// One version of truth (TL-05): every payment and refund as 1C and the bank tell it, as the CRM has it, and as the report counts it, compared one
/// by one; every shipment and return as 1C and the CRM have it, for the report counts money alone; order after order, so that any number of them can be. Services are asked with the session of the person who compares.
struct Reconciliation: Sendable {
    /// Seconds for which a page of another service's is waited for: nobody sits before it.
    private static let patience = 15.0

    let pool: PostgresPool
    let others: OtherServices

    struct Difference: AnswerShape, Decodable {
        let key, orderNumber: String
        /// Whose order it is.
        var client: String?
        /// The sum that each counts; nil: it counts none.
        let books, crm, report: Money?
        let words: String
        /// Two bases of 1C differ: nothing that is here can be done again to mend it.
        var isBetweenBases: Bool?
    }
    /// How old what a base tells is.
    struct Source: AnswerShape, Decodable {
        let base: String
        /// It answers when it is asked; the others tell when they like.
        let isAsked: Bool
        let lastTold: Timestamp?
        /// Orders that it has still to be asked for.
        let unread: Int64
    }
    struct Answer: AnswerShape {
        let checked: Int
        /// All that were found, of which `differences` lists the first.
        let found: Int
        let differences: [Difference]
        let sources: [Source]
        let at: Timestamp
    }

    /// Differences that are listed at most.
    static let differenceLimit = 200
    private static let pageSize = 200

    /// - Throws: `OtherServices.Away` when one does not answer: what is not known is not compared.
    func run(session: String) async throws -> Answer {
        let sources = try await sources(session)
        var books = told(session)
        var crm = counted()
        var report = reported(session)
        var (checked, found, differences) = (0, 0, [Difference]())
        while let order = try await [books.peek(), crm.peek(), report.peek()].compactMap({ $0 }).min() {
            let sides = (try await books.take(order), try await crm.take(order), try await report.take(order))
            let (count, wrong) = Self.compare(order, books: sides.0, crm: sides.1, report: sides.2)
            checked += count
            found += wrong.count
            differences += wrong.prefix(Self.differenceLimit - differences.count)
        }
        try await name(&differences)
        return Answer(checked: checked, found: found, differences: differences, sources: sources, at: .now())
    }

    /// Says whose each difference is.
    private func name(_ differences: inout [Difference]) async throws {
        let rows = try await pool.query(
            """
            SELECT o.number, coalesce(c.name, p.name, k.name) AS client FROM sales_order o LEFT JOIN deal d ON d.id = o.deal_id
            LEFT JOIN company c ON c.id = d.company_id LEFT JOIN contact p ON p.id = d.contact_id
            LEFT JOIN onec_card k ON k.base = o.base AND k.onec_id = o.card_id
            WHERE o.number = ANY($1::text[])
            """, [.texts(Array(Set(differences.map(\.orderNumber))))])
        let names = try rows.reduce(into: [:]) { $0[try $1.string("number")] = try $1.optionalString("client") }
        for index in differences.indices { differences[index].client = names[differences[index].orderNumber] ?? nil }
    }

    private static let goods: Set = ["shipment", "return"]

    /// One order's money, as three have it.
    static func compare(_ order: String, books told: [CountedMoney], crm: [CountedMoney], report: [CountedMoney]) -> (
        checked: Int, differences: [Difference]
    ) {
        func byKey(_ entries: [CountedMoney]) -> [String: Money] {
            Dictionary(entries.filter(\.counted).map { ($0.key, $0.amount) }) { first, _ in first }
        }
        let (crm, report) = (byKey(crm), byKey(report))
        // Without 1C the CRM's own books are the books.
        let own = crm.filter { $0.key.hasPrefix("\(OwnBooks.name)/") }
        let books = byKey(told).merging(own) { first, _ in first }
        let keys = Set(books.keys).union(crm.keys).union(report.keys)
        let differences = keys.sorted().compactMap { key -> Difference? in
            // The report counts no goods: of them it says what the CRM says.
            let isGoods = goods.contains(key.split(separator: "/").dropFirst().first.map(String.init) ?? "")
            let (b, c, r) = (books[key], crm[key], isGoods ? crm[key] : report[key])
            guard b != c || c != r else { return nil }
            return Difference(key: key, orderNumber: order, books: b, crm: c, report: r, words: words(b, c, r))
        }
        return (keys.count, BooksCompared.differences(order, told) + differences)
    }

    private static func words(_ books: Money?, _ crm: Money?, _ report: Money?) -> String {
        switch (books, crm, report) {
        case (nil, _?, _): "1С и банк такого документа больше не сообщают, а в CRM он учтён"
        case (_?, nil, _): "1С или банк сообщают документ, а в CRM он не учтён"
        case (_, _?, nil): "в CRM учтено, в отчёте нет"
        case (nil, nil, _?): "в отчёте учтено то, чего нет ни в CRM, ни в 1С"
        default: "суммы различаются"
        }
    }

    // MARK: the sides

    private func told(_ session: String) -> MoneyByOrder {
        MoneyByOrder { after in
            let answer = try await page(.accountingBridge, "/api/v1/told-money", after, session)
            return (
                answer.items.compactMap { item in
                    guard var money = Self.money(item) else { return nil }
                    (money.base, money.kind) = (item["base"]?.stringValue ?? "", item["kind"]?.stringValue ?? "")
                    money.counted = item["counted"] == .bool(true)
                    money.stands = item["stands"] == .bool(true)
                    return money
                }, answer.next
            )
        }
    }

    private func reported(_ session: String) -> MoneyByOrder {
        MoneyByOrder { after in
            let answer = try await page(.biAggregator, "/api/v1/money-facts", after, session)
            return (answer.items.compactMap(Self.money), answer.next)
        }
    }

    private func counted() -> MoneyByOrder {
        MoneyByOrder { [pool] after in
            let rows = try await pool.query(
                """
                SELECT o.number, c.base, c.kind, c.onec_id, c.amount_minor, c.currency FROM (
                    SELECT id, number, tells_payments FROM sales_order o WHERE ($1::text IS NULL OR number COLLATE "C" > $1) AND EXISTS (
                        SELECT 1 FROM document c WHERE c.order_id = o.id AND c.kind IN ('payment', 'refund', 'shipment', 'return'))
                    ORDER BY number COLLATE "C" LIMIT \(Self.pageSize)) AS o
                LEFT JOIN document c ON c.order_id = o.id AND c.kind IN ('payment', 'refund', 'shipment', 'return') AND c.amount_minor IS NOT NULL
                    AND \(OrderDocuments.counts)
                ORDER BY o.number COLLATE "C"
                """, [.text(after)])
            let numbers = try rows.map { try $0.string("number") }
            let entries = try rows.compactMap { row -> CountedMoney? in
                guard let base = try row.optionalString("base"), let amount = try row.money("amount_minor") else {
                    return nil
                }
                let order = try row.string("number")
                let key = PaymentRecorded.key(
                    base: base, kind: try row.string("kind"), onecId: try row.string("onec_id"), order: order)
                return CountedMoney(key: key, order: order, amount: amount)
            }
            return (entries, Set(numbers).count == Self.pageSize ? numbers.last : nil)
        }
    }

    private func sources(_ session: String) async throws -> [Source] {
        let answer = try await others.get(.accountingBridge, "/api/v1/bases", session: session, seconds: Self.patience)
        guard answer.status == 200 else { throw OtherServices.Away() }
        return (answer.json["items"]?.items ?? []).compactMap { item in
            guard let base = item["base"]?.stringValue else { return nil }
            let told = item["lastRead"]?.stringValue ?? item["lastContact"]?.stringValue
            return Source(
                base: base, isAsked: item["isAsked"] == .bool(true), lastTold: told.flatMap { Timestamp($0) },
                unread: item["unread"]?.intValue ?? 0)
        }
    }

    private func page(
        _ service: ServiceIdentity, _ path: String, _ after: String?, _ session: String
    ) async throws -> (items: [RawJSON], next: String?) {
        let mark = after.map { "&after=\(Form.encoded($0))" } ?? ""
        let answer = try await others.get(
            service, "\(path)?limit=\(Self.pageSize)\(mark)", session: session, seconds: Self.patience)
        guard answer.status == 200 else { throw OtherServices.Away() }
        return (answer.json["items"]?.items ?? [], answer.json["next"]?.stringValue)
    }

    private static func money(_ item: RawJSON) -> CountedMoney? {
        guard let key = item["key"]?.stringValue, let order = item["orderNumber"]?.stringValue,
            let currency = item["amount"]?["currency"]?.stringValue.flatMap({ Currency($0) }),
            let amount = item["amount"]?["amount"]?.stringValue.flatMap({ Money($0, currency) })
        else { return nil }
        return CountedMoney(key: key, order: order, amount: amount)
    }
}
