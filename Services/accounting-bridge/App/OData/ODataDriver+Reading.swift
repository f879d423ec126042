import Contracts
import Primitives

/// What has become of orders: each is read whole, its document and every document that names it, so that an edit of any day is seen.
extension ODataDriver {
    /// Things in one question at most, and bytes that its filter may take.
    static let questionSize = 8
    private static let questionBytes = 1300

    func read(_ asked: [AskedOrder], _ wire: ExchangeWire) async throws -> [HeardReport] {
        try await noticeChanges(wire)
        try await lookForBorn(wire)
        var heard: [HeardReport] = []
        for some in asked.parts(of: Self.questionSize) { heard += try await read(apart: some, wire) }
        return heard
    }

    /// Things in as many questions as they need: a web server stops at 2,048 bytes of a query, and names in Russian take six bytes a letter.
    func questions<Thing>(_ things: [Thing], _ filter: ([Thing]) -> String) -> [[Thing]] {
        var (questions, rest): ([[Thing]], ArraySlice) = ([], things[...])
        while !rest.isEmpty {
            let size = (1...min(Self.questionSize, rest.count)).last {
                ODataClient.encoded(filter(Array(rest.prefix($0)))).utf8.count <= Self.questionBytes
            }
            questions.append(Array(rest.prefix(size ?? 1)))
            rest = rest.dropFirst(size ?? 1)
        }
        return questions
    }

    /// One order that cannot be asked for stands aside, the others are read.
    private func read(apart asked: [AskedOrder], _ wire: ExchangeWire) async throws -> [HeardReport] {
        do { return try await read(some: asked, wire) } catch DriverFailure.refused(let reason) {
            guard asked.count == 1 else {
                let half = asked.count / 2
                return try await read(apart: Array(asked[..<half]), wire) + read(apart: Array(asked[half...]), wire)
            }
            let exchange = try await wire.open("odata.state", "GET", mapping.order.entity, [], direction: "out")
            try await wire.close(exchange, status: nil, [], .failed(reason))
            return [
                HeardReport(
                    exchange: exchange, subject: asked[0].number, number: asked[0].number,
                    result: .failure(.refused(reason)))
            ]
        }
    }

    private func read(some asked: [AskedOrder], _ wire: ExchangeWire) async throws -> [HeardReport] {
        // What another driver of the base called it is no key here.
        func key(_ order: AskedOrder) -> String {
            order.onecId.flatMap { ID($0) == nil ? nil : $0 } ?? order.id.description
        }
        let state = ODataOrderState(mapping: mapping, url: base.url)
        let answer = try await client.rows(
            "odata.state", mapping.order.entity,
            filter: asked.map { "Ref_Key eq guid'\(key($0))'" }.joined(separator: " or "), select: state.orderFields,
            wire: wire)
        var exchange = answer.exchange
        let orders = Dictionary(answer.rows.map { ($0["Ref_Key"]?.stringValue ?? "", $0) }) { first, _ in first }
        let currencies = Dictionary(asked.map { (key($0), $0.currency) }) { first, _ in first }
        var cards = orders.compactMapValues { $0[mapping.order.currency]?.stringValue }
        // Of an order that is not here its currency's own key is looked up: a document in another one is not in its.
        for one in asked where one.isOthers && cards[key(one)] == nil {
            cards[key(one)] = try await currencyKey(one.currency, wire)
        }
        var documents: [String: [ODataOrderState.Told]] = [:]
        let absent = known.absent
        let wanted = mapping.documents.filter { !absent.contains($0.place) }
        // Whose a document is that another kind of documents names.
        var ordersOf: [String: [String: ODataOrderState.StandIn]] = [:]
        // What was not read in this very batch: a check of the base may meanwhile take back what is known to be unreadable.
        var unread: Set<String> = []
        // An optional way to documents that others lead to as well: what only it has told stays as it was told.
        var isShut = false
        let settled = try await settlements(of: currencies.keys.sorted(), wire)
        for part in wanted {
            let isLost = part.isSettled == true && settled == nil || part.through.map(unread.contains) ?? false
            guard isReadable(part), !isLost else {
                if isMissed(part, among: wanted) { unread.insert(part.entity) } else { isShut = true }
                continue
            }
            var standIns =
                part.isSettled == true ? (settled ?? [:]).mapValues { ODataOrderState.StandIn(orders: [$0]) } : nil
            if let entity = part.through { standIns = ordersOf[entity] ?? [:] }
            // Of an order that nothing stands for yet there is no such document.
            let named = (standIns.map { Array($0.keys) } ?? Array(currencies.keys)).sorted()
            let answer: (rows: [RawJSON], exchange: ID?)
            do { answer = try await rows(of: part, naming: named, wire) } catch DriverFailure.refused(let why) {
                passOver(part.place, why)
                if isMissed(part, among: wanted) { unread.insert(part.entity) } else { isShut = true }
                continue
            }
            let found = state.documents(part, answer.rows, currencies, cards: cards, settled: standIns)
            let shared = state.shared(part, answer.rows)
            for (order, told) in found {
                for one in told {
                    if case .success(let document) = one {
                        var standIn = ordersOf[part.entity]?[document.onecId] ?? ODataOrderState.StandIn()
                        guard standIn.orders.insert(order).inserted else { continue }
                        standIn.isShared = standIn.isShared || shared.contains(document.onecId)
                        ordersOf[part.entity, default: [:]][document.onecId] = standIn
                    }
                    documents[order, default: []].append(one)
                }
            }
            // What was read last stands behind all that is said of these orders.
            exchange = answer.exchange ?? exchange
        }
        let sales = try await sales(currencies, wire)
        guard let exchange else { return [] }
        let tellsPayments = wanted.allSatisfy { $0.kind != "payment" || !unread.contains($0.entity) }
        let tellsShipments = wanted.allSatisfy { $0.kind != "shipment" || !unread.contains($0.entity) }
        let settledOrders = settled.map { Set($0.values) }
        // A row that our user may not see is absent, too: only an order that the base says it does not have is gone.
        var hidden: Set<ID> = []
        for one in asked where !one.isOthers && orders[key(one)] == nil {
            let row = try await client.one(
                "odata.state", mapping.order.entity, key(one), select: ["Ref_Key"], wire: wire)
            if row != nil { hidden.insert(one.id) }
        }
        return asked.map { one in
            if hidden.contains(one.id) {
                let why = "заказ есть в 1С, но пользователю обмена он не виден: дайте ему права"
                return HeardReport(
                    exchange: exchange, subject: one.number, number: one.number, result: .failure(.refused(why)))
            }
            let (row, told) = (orders[key(one)], documents[key(one)] ?? [])
            // Without an object of settlements there is no telling whether its money is gone or only hidden.
            let isWhole = unread.isEmpty && !isShut && settledOrders?.contains(key(one)) != false
            // Of another base's order that has not come to this one yet it tells nothing.
            let isUnheard = one.isOthers && !one.wasTold && row == nil && told.isEmpty
            return HeardReport(
                exchange: exchange, subject: one.number, number: one.number,
                result: isUnheard
                    ? nil
                    : state.report(
                        one, row, told, sales: sales[key(one)], tellsPayments: tellsPayments,
                        tellsShipments: tellsShipments, isWhole: isWhole))
        }
    }

    /// Whether an order is told short without it: an optional second way to the same documents is only said to be shut.
    private func isMissed(_ part: ODataMapping.Document, among wanted: [ODataMapping.Document]) -> Bool {
        part.optional != true
            || !wanted.contains { $0.entity == part.entity && $0.place != part.place && $0.optional != true }
    }

    private func isReadable(_ part: ODataMapping.Document) -> Bool {
        isReadable(part.place)
            && (part.isSettled != true || mapping.settlements.map { isReadable($0.entity) } ?? false)
    }

    /// The documents of one kind that name any of the orders, each once however many it names.
    private func rows(of part: ODataMapping.Document, naming named: [String], _ wire: ExchangeWire) async throws
        -> (rows: [RawJSON], exchange: ID?)
    {
        let state = ODataOrderState(mapping: mapping)
        var (found, exchange): ([String: RawJSON], ID?) = ([:], nil)
        for some in questions(named, { state.filter(part, orders: $0) }) {
            let answer = try await client.rows(
                "odata.state", part.entity, filter: state.filter(part, orders: some), select: state.fields(of: part),
                wire: wire)
            for row in answer.rows { found[row["Ref_Key"]?.stringValue ?? ""] = row }
            exchange = answer.exchange ?? exchange
        }
        return (found.sorted { $0.key < $1.key }.map(\.value), exchange)
    }

    /// What the goods of each order have brought and cost; none where the base does not tell it.
    private func sales(_ currencies: [String: Currency], _ wire: ExchangeWire) async throws
        -> [String: ODataOrderState.Sales]
    {
        guard let cost = mapping.cost, isReadable(cost.entity) else { return [:] }
        let orders = currencies.filter { $0.value.code == cost.currency }
        guard !orders.isEmpty else { return [:] }
        let state = ODataOrderState(mapping: mapping)
        do {
            var rows: [RawJSON] = []
            for some in questions(orders.keys.sorted(), { state.filter(cost, orders: $0) }) {
                rows += try await client.rows(
                    "odata.state", cost.entity, filter: state.filter(cost, orders: some),
                    orderBy: "Recorder,LineNumber", select: [cost.order, cost.amount, cost.revenue], wire: wire
                ).rows
            }
            return state.sales(cost, rows, orders)
        } catch DriverFailure.refused(let why) {
            passOver(cost.entity, why)
            return [:]
        }
    }
}
