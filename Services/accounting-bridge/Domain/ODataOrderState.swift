import Contracts
import Primitives

/// What the rows of a base tell of orders, by a mapping: pure, so that it is tried with every kind of row.
struct ODataOrderState: Sendable {
    typealias Told = Result<ReportedDocument, DriverFailure>

    /// What the register of sales says of an order; no cost while it is not reckoned yet, which many books do at the end of a month.
    struct Sales: Sendable, Equatable {
        let revenue: Money
        let cost: Money?
    }
    /// What a document names instead of an order.
    struct StandIn: Sendable {
        /// Those that were asked about.
        var orders: Set<String> = []
        /// It belongs to several orders, asked about or not: nobody knows which part of a document that names it is whose.
        var isShared = false
    }

    let mapping: ODataMapping
    /// The address of the base, for links to its documents; empty when there are none.
    var url = ""

    // MARK: questions

    var orderFields: [String] {
        ["Ref_Key", "Number", "Date", "Posted", "DeletionMark", mapping.order.total, mapping.order.currency]
            + [mapping.order.status].compactMap { $0 } + (mapping.order.marks ?? [:]).values.sorted()
    }

    func fields(of part: ODataMapping.Document) -> [String] {
        ["Ref_Key", "Number", "Date", "Posted", "DeletionMark"] + [part.number, part.currency].compactMap { $0 }
            + (part.when ?? [:]).keys.sorted() + (part.rows.map { [$0] } ?? [part.order, part.amount])
    }

    /// Which objects of settlements belong to any of the orders.
    func filter(_ settlements: ODataMapping.Settlements, orders keys: [String]) -> String {
        keys.map { names(settlements.order, $0, isAnyOf: settlements.orderIsAnyOf == true) }.joined(separator: " or ")
    }

    /// Which documents name any of the orders, or what stands for them. A field that may name things of several kinds is compared with a kind (reference b.5).
    func filter(_ part: ODataMapping.Document, orders keys: [String]) -> String {
        func names(_ field: String, _ key: String) -> String {
            self.names(field, key, of: part.through, isAnyOf: part.orderIsAnyOf == true)
        }
        guard let table = part.rows else { return keys.map { names(part.order, $0) }.joined(separator: " or ") }
        return "\(table)/any(d: " + keys.map { names("d/\(part.order)", $0) }.joined(separator: " or ") + ")"
    }

    /// Records of the cost of any of the orders; a recorder that is not posted any more has none that are active.
    func filter(_ cost: ODataMapping.Cost, orders keys: [String]) -> String {
        let orders = keys.map { names(cost.order, $0, isAnyOf: cost.orderIsAnyOf == true) }.joined(separator: " or ")
        return "(\(orders)) and Active eq true"
    }

    private func names(_ field: String, _ key: String, of entity: String? = nil, isAnyOf: Bool) -> String {
        "\(field) eq " + (isAnyOf ? "cast(guid'\(key)', '\(entity ?? mapping.order.entity)')" : "guid'\(key)'")
    }

    // MARK: answers

    /// - Parameters:
    ///   - row: the order's document; nil when the base has none.
    ///   - tellsPayments: whether the base has what the mapping needs of payments.
    ///   - isWhole: whether every kind of document could be read.
    func report(
        _ asked: AskedOrder, _ row: RawJSON?, _ documents: [Told], sales: Sales? = nil, tellsPayments: Bool,
        tellsShipments: Bool? = nil, isWhole: Bool = true
    ) -> Result<OrderReport, DriverFailure> {
        var report = OrderReport(number: asked.number)
        if let row, !asked.isOthers {
            guard let total = Self.money(row[mapping.order.total], asked.currency) else {
                return .failure(.refused("сумма заказа (\(mapping.order.total)) не читается"))
            }
            (report.onecId, report.onecNumber, report.total) = (row["Ref_Key"]?.stringValue, Self.number(row), total)
            report.posted = row["Posted"] == .bool(true)
            report.cancelled = row["DeletionMark"] == .bool(true)
            report.statusText = mapping.order.status.flatMap { row[$0]?.stringValue?.nonEmpty }
            report.flags = (mapping.order.marks ?? [:]).sorted { $0.key < $1.key }.map { department, field in
                ReportedFlag(department: department, done: row[field] == .bool(true), by: nil, at: nil)
            }
        } else if asked.isBorn, !asked.isOthers {
            (report.onecId, report.posted, report.cancelled) = (asked.onecId, false, true)
        } else if !asked.isOthers {
            return .failure(.refused("в 1С больше нет документа заказа: его удалили"))
        }
        (report.tellsPayments, report.isAsked, report.isWhole) = (tellsPayments, true, isWhole)
        report.tellsShipments = tellsShipments
        (report.revenue, report.cost) = (sales?.revenue, sales?.cost)
        for document in documents {
            switch document {
            case .success(let document): report.documents.append(document)
            case .failure(let failure): report.refused.append(failure.words)
            }
        }
        report.documents.sort { ($0.date ?? "", $0.onecId, $0.kind) < ($1.date ?? "", $1.onecId, $1.kind) }
        return .success(report)
    }

    /// The documents of one kind by the order they name. Rows of one document for the same order are one sum.
    ///
    /// - Parameters:
    ///   - cards: 1C's own keys of the orders' currencies, by order.
    ///   - settled: the orders by what stands for them; nil where the documents name the orders themselves.
    func documents(
        _ part: ODataMapping.Document, _ rows: [RawJSON], _ currencies: [String: Currency],
        cards: [String: String] = [:], settled: [String: StandIn]? = nil
    ) -> [String: [Told]] {
        var found: [String: [Told]] = [:]
        for row in rows where (part.when ?? [:]).allSatisfy({ row[$0]?.stringValue == $1 }) {
            var sums: [String: Int64?] = [:]
            for (standIn, sum) in allocations(part, row, currencies, settled) {
                for key in standIn.orders {
                    if standIn.isShared {
                        found[key, default: []].append(undivided(part, row))
                    } else {
                        sums[key] = .some(Self.add(sums[key] ?? 0, sum))
                    }
                }
            }
            for (key, sum) in sums {
                let amount = currencies[key].flatMap { currency in sum.map { Money(minor: $0, currency: currency) } }
                if let field = part.currency, let own = row[field]?.stringValue, let wanted = cards[key], own != wanted
                {
                    found[key, default: []].append(
                        .failure(
                            .refused("документ \(part.entity) \(Self.number(row) ?? "") в другой валюте, чем заказ")))
                } else {
                    found[key, default: []].append(document(part, row, amount))
                }
            }
        }
        return found
    }

    /// A return of what was shipped for several orders: it is there, and its share of this one is not known.
    private func undivided(_ part: ODataMapping.Document, _ row: RawJSON) -> Told {
        guard let id = row["Ref_Key"]?.stringValue else { return document(part, row, nil) }
        return .success(reported(part, row, id, nil))
    }

    /// What a document gives to which orders; nil where its sum is not to be read.
    private func allocations(
        _ part: ODataMapping.Document, _ row: RawJSON, _ currencies: [String: Currency], _ settled: [String: StandIn]?
    ) -> [(StandIn, Int64?)] {
        var rows = [row]
        if let table = part.rows {
            guard case .array(let lines)? = row[table] else { return [] }
            rows = lines
        }
        return rows.compactMap { line in
            guard let named = line[part.order]?.stringValue else { return nil }
            guard var standIn = settled.map({ $0[named] }) ?? StandIn(orders: [named]) else { return nil }
            standIn.orders.formIntersection(currencies.keys)
            guard let currency = standIn.orders.first.flatMap({ currencies[$0] }) else { return nil }
            return (standIn, Self.money(line[part.amount], currency)?.minor)
        }
    }

    /// Keys of the documents whose rows name more than one order.
    func shared(_ part: ODataMapping.Document, _ rows: [RawJSON]) -> Set<String> {
        guard let table = part.rows else { return [] }
        return Set(
            rows.compactMap { row in
                guard case .array(let lines)? = row[table], let key = row["Ref_Key"]?.stringValue else { return nil }
                // A row that names none says so with an empty text or a key of noughts.
                let named = Set(lines.compactMap { $0[part.order]?.stringValue?.nonEmpty })
                return named.count { $0.contains { $0 != "0" && $0 != "-" } } > 1 ? key : nil
            })
    }

    private func document(_ part: ODataMapping.Document, _ row: RawJSON, _ amount: Money?) -> Told {
        let own = Self.number(row)
        guard let id = row["Ref_Key"]?.stringValue, let amount, amount.minor >= 0 else {
            return .failure(
                .refused("документ \(part.entity) \(own ?? "без номера"): сумма (\(part.amount)) не читается"))
        }
        return .success(reported(part, row, id, amount))
    }

    private func reported(_ part: ODataMapping.Document, _ row: RawJSON, _ id: String, _ amount: Money?)
        -> ReportedDocument
    {
        ReportedDocument(
            kind: part.kind, onecId: id,
            number: part.number.flatMap { row[$0]?.stringValue?.trimmed.nonEmpty } ?? Self.number(row),
            date: OrderReport.day(row["Date"]?.stringValue), amount: amount, posted: row["Posted"] == .bool(true),
            cancelled: row["DeletionMark"] == .bool(true),
            link: url.isEmpty ? nil : ODataDriver.navigationLink(url, part.entity, id))
    }

    /// What each order has brought and cost: all records of it together, and nothing where it has none. Nothing is said of one that cannot be read.
    func sales(_ cost: ODataMapping.Cost, _ rows: [RawJSON], _ orders: [String: Currency]) -> [String: Sales] {
        let rows = Dictionary(grouping: rows) { $0[cost.order]?.stringValue ?? "" }
        var sales: [String: Sales] = [:]
        for (key, currency) in orders {
            func sum(_ field: String) -> Money? {
                (rows[key] ?? []).reduce(Int64?.some(0)) { Self.add($0, Self.money($1[field], currency)?.minor) }
                    .map { Money(minor: $0, currency: currency) }
            }
            guard let revenue = sum(cost.revenue) else { continue }
            let spent = sum(cost.amount)
            sales[key] = Sales(revenue: revenue, cost: spent?.minor == 0 && revenue.minor != 0 ? nil : spent)
        }
        return sales
    }

    static func number(_ row: RawJSON) -> String? { row["Number"]?.stringValue?.trimmed.nonEmpty }

    private static func add(_ left: Int64?, _ right: Int64?) -> Int64? {
        guard let left, let right else { return nil }
        let (sum, isTooLarge) = left.addingReportingOverflow(right)
        return isTooLarge || abs(sum) > Money.limit ? nil : sum
    }

    /// A sum as JSON writes it: a whole number, or one with a point.
    static func money(_ value: RawJSON?, _ currency: Currency) -> Money? {
        switch value {
        case .int(let whole): Money(String(whole), currency)
        case .double(let number): Money(String(number), currency)
        case .string(let text): Money(text, currency)
        default: nil
        }
    }
}
