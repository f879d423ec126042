import Hummingbird
import Postgres
import Primitives
import ServiceKit

/// Mutual settlements with a client (PAY-21) and why three departments name three sums (CARD-18): from the documents that count, each currency apart.
struct Settlements: Sendable {
    let pool: PostgresPool

    struct Line: AnswerShape {
        let date, number: String?
        /// `shipment` and `refund` make the client owe more, `payment` and `return` less.
        let kind, orderNumber, base: String
        let debit, credit: Money?
        /// What the client owes after it; below zero: what we owe him.
        let balance: Money
    }
    struct Act: AnswerShape {
        let currency: String
        let opening, debit, credit, closing: Money
        let lines: [Line]
    }
    struct Difference: AnswerShape {
        let orderNumber: String
        /// `not_shipped`, `not_paid`, `overpaid`.
        let kind: String
        let amount: Money
    }
    struct Answer: AnswerShape {
        let companyId: ID
        let from, to: String?
        let acts: [Act]
        let differences: [Difference]
    }

    /// Documents of one act at most.
    static let documentLimit = 5000

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/api/v1/companies/:id/settlements") { request, context in
            try context.require("manager", "head", "accountant", "reader")
            let days = try ["from", "to"].map { name -> String? in
                guard let text = request.query(name) else { return nil }
                guard text.wholeMatch(of: /[0-9]{4}-[0-9]{2}-[0-9]{2}/) != nil, Timestamp(text) != nil else {
                    throw Problem.badRequest("\(name) is a day such as 2026-01-31")
                }
                return text
            }
            let company = try await Directory(runner: pool).company(try context.id("company"))
            return try Response.json(try await answer(company.id, from: days[0], to: days[1]))
        }
    }

    /// - Parameters:
    ///   - from: the first day; what was before is the opening balance.
    ///   - to: the last day.
    ///   - orders: the company's, when they have been loaded already.
    func answer(_ company: ID, from: String?, to: String?, orders known: [OrderView]? = nil) async throws -> Answer {
        let rows = try await pool.query(
            """
            SELECT o.number AS order_number, c.base, c.kind, c.number, c.date::text AS date, c.amount_minor, c.currency
            FROM document c JOIN sales_order o ON o.id = c.order_id
            WHERE o.id IN (\(BornOrders.ofCompany)) AND c.kind IN ('payment', 'refund', 'shipment', 'return') AND c.amount_minor IS NOT NULL
                AND \(OrderDocuments.counts) ORDER BY c.date NULLS FIRST, c.onec_id LIMIT \(Self.documentLimit + 1)
            """, [.id(company)])
        guard rows.count <= Self.documentLimit else {
            throw Problem.conflict("больше \(Self.documentLimit) документов: акт сверки запросите в 1С")
        }
        let entries = try rows.compactMap { row -> Entry? in
            guard let amount = try row.money("amount_minor") else { return nil }
            return Entry(
                date: try row.optionalString("date"), number: try row.optionalString("number"),
                kind: try row.string("kind"), orderNumber: try row.string("order_number"), base: try row.string("base"),
                amount: amount)
        }
        var orders = known ?? []
        if known == nil { orders = try await OrderView.load(company: company, in: pool) }
        return Answer(
            companyId: company, from: from, to: to, acts: Self.acts(entries, from: from, to: to),
            differences: orders.flatMap(Self.differences))
    }

    struct Entry: Sendable {
        let date, number: String?
        let kind, orderNumber, base: String
        let amount: Money
        var isDebit: Bool { kind == "shipment" || kind == "refund" }
    }

    /// One act per currency; sums of different ones are never added.
    static func acts(_ entries: [Entry], from: String?, to: String?) -> [Act] {
        let currencies = Dictionary(grouping: entries, by: \.amount.currency)
        return currencies.sorted { $0.key.code < $1.key.code }.map { currency, entries in
            var balance = Money.zero(currency)
            var (opening, debit, credit) = (balance, balance, balance)
            var lines: [Line] = []
            for entry in entries {
                if let to, let date = entry.date, date > to { continue }
                balance = entry.isDebit ? balance + entry.amount : balance - entry.amount
                if let from, entry.date ?? "" < from {
                    opening = balance
                    continue
                }
                if entry.isDebit { debit = debit + entry.amount } else { credit = credit + entry.amount }
                lines.append(
                    Line(
                        date: entry.date, number: entry.number, kind: entry.kind, orderNumber: entry.orderNumber,
                        base: entry.base, debit: entry.isDebit ? entry.amount : nil,
                        credit: entry.isDebit ? nil : entry.amount, balance: balance))
            }
            return Act(
                currency: currency.code, opening: opening, debit: debit, credit: credit, closing: balance, lines: lines)
        }
    }

    /// Why what was ordered, shipped and paid differ, order by order; what is unknown explains nothing.
    private static func differences(_ order: OrderView) -> [Difference] {
        guard !["cancelled", "failed"].contains(order.status) else { return [] }
        let ordered = order.total ?? order.askedTotal
        var found: [Difference] = []
        func note(_ kind: String, _ amount: Money) {
            if amount.minor > 0 { found.append(Difference(orderNumber: order.number, kind: kind, amount: amount)) }
        }
        if let shipped = order.shipped, let returned = order.returned, shipped.currency == ordered.currency {
            note("not_shipped", ordered - (shipped - returned))
        }
        if let owed = order.owed {
            note("not_paid", owed)
            note("overpaid", .zero(owed.currency) - owed)
        }
        return found
    }
}
