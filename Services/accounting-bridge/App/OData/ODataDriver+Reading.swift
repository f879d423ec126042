import Contracts
import Primitives

/// What has become of orders: each is read whole, its document and every document that names it, so that an edit of any day is seen.
extension ODataDriver {
    /// Overlapping a little: cards that others make meanwhile shift the places.
    private static let overlap = 20

    func cards(from place: Int, _ wire: ExchangeWire) async throws -> ClientPage? {
        let names = mapping.counterparty
        let select =
            ["Ref_Key", "DeletionMark", names.name, names.inn, names.kpp]
            + [names.fullName, names.group].compactMap { $0 }
        let (rows, exchange) = try await client.page(
            "odata.clients", names.entity, from: place, select: select, wire: wire)
        // Groups of a catalog are no clients.
        let cards = rows.filter { row in names.group.map { row[$0] != .bool(true) } ?? true }.compactMap { row in
            ClientCard(
                onecId: row["Ref_Key"]?.stringValue, name: row[names.name]?.stringValue,
                fullName: names.fullName.flatMap { row[$0]?.stringValue }, inn: row[names.inn]?.stringValue,
                kpp: row[names.kpp]?.stringValue, isDeleted: row["DeletionMark"] == .bool(true))
        }
        let isLast = rows.count < ODataClient.pageSize
        return ClientPage(cards: cards, next: isLast ? nil : place + rows.count - Self.overlap, exchange: exchange)
    }

    /// Orders in one question at most: an address has room for so many keys.
    private static let questionSize = 8

    func read(_ asked: [AskedOrder], _ wire: ExchangeWire) async throws -> [HeardReport] {
        var heard: [HeardReport] = []
        var rest = asked[...]
        while !rest.isEmpty {
            heard += try await read(some: Array(rest.prefix(Self.questionSize)), wire)
            rest = rest.dropFirst(Self.questionSize)
        }
        return heard
    }

    private func read(some asked: [AskedOrder], _ wire: ExchangeWire) async throws -> [HeardReport] {
        func key(_ order: AskedOrder) -> String { order.onecId ?? order.id.description }
        let state = ODataOrderState(mapping: mapping)
        let answer = try await client.rows(
            "odata.state", mapping.order.entity,
            filter: asked.map { "Ref_Key eq guid'\(key($0))'" }.joined(separator: " or "), select: state.orderFields,
            wire: wire)
        var exchange = answer.exchange
        let orders = Dictionary(answer.rows.map { ($0["Ref_Key"]?.stringValue ?? "", $0) }) { first, _ in first }
        let currencies = Dictionary(asked.map { (key($0), $0.currency) }) { first, _ in first }
        let cards = orders.compactMapValues { $0[mapping.order.currency]?.stringValue }
        var documents: [String: [ODataOrderState.Told]] = [:]
        let readable = mapping.documents.filter(isReadable)
        for part in readable {
            let answer: (rows: [RawJSON], exchange: ID?)
            do {
                answer = try await client.rows(
                    "odata.state", part.entity, filter: state.filter(part, orders: currencies.keys.sorted()),
                    select: state.fields(of: part), wire: wire)
            } catch DriverFailure.refused(let why) {
                passOver(part, why)
                continue
            }
            documents.merge(state.documents(part, answer.rows, currencies, cards: cards), uniquingKeysWith: +)
            // What was read last stands behind all that is said of these orders.
            exchange = answer.exchange ?? exchange
        }
        guard let exchange else { return [] }
        let tellsPayments = mapping.documents.allSatisfy { $0.kind != "payment" || isReadable($0) }
        let isWhole = mapping.documents.allSatisfy(isReadable)
        return asked.map { one in
            HeardReport(
                exchange: exchange, subject: one.number, number: one.number,
                result: state.report(
                    one, orders[key(one)], documents[key(one)] ?? [], tellsPayments: tellsPayments, isWhole: isWhole))
        }
    }
}
