import Contracts
import Primitives

/// An order becomes a document: looked up, made under its own key, posted.
extension ODataDriver {
    func find(_ order: OutgoingOrder, _ wire: ExchangeWire) async throws -> TakenOrder? {
        let names = mapping.order
        let select = ["Ref_Key", "Number", "Posted", "DeletionMark"]
        let key = order.order.orderId.description
        if let own = try await client.one("odata.find", names.entity, key, select: select, wire: wire) {
            return taken(own)
        }
        // A base that gave it a key of its own: found by what only we write. Its sum may be another by now, for 1C reckons anew.
        let filter =
            names.ourNumber.map { "\($0) eq \(Self.literal(Self.mark(order)))" }
            ?? names.comment.map { "startswith(\($0), \(Self.literal(Self.title(order)))) eq true" }
        guard let filter else { return nil }
        let rows = try await client.rows("odata.find", names.entity, filter: filter, select: select, wire: wire).rows
        let living = rows.filter { $0["DeletionMark"] != .bool(true) }
        guard living.count < 2 else {
            throw DriverFailure.refused("в 1С несколько документов с нашим номером \(order.order.number)")
        }
        return (living.first ?? rows.first).map(taken)
    }

    private func taken(_ row: RawJSON) -> TakenOrder {
        TakenOrder(
            onecId: row["Ref_Key"]?.stringValue, onecNumber: ODataOrderState.number(row),
            isPosted: row["Posted"] == .bool(true))
    }

    /// What stands in a field for the client's own number: nobody else writes such a text there.
    private static func mark(_ order: OutgoingOrder) -> String { "\(numberMark)\(order.order.number)" }
    static let numberMark = "TL-"
    /// The first line of the comment.
    private static func title(_ order: OutgoingOrder) -> String { "\(titleMark)\(order.order.number)." }
    static let titleMark = "Throughline № "

    func complete(_ taken: TakenOrder, _ wire: ExchangeWire) async throws -> TakenOrder {
        guard mapping.order.post, taken.isPosted == false, let key = taken.onecId else { return taken }
        var whole = taken
        whole.warning = try await post(key, wire)
        return whole
    }

    func give(_ outgoing: OutgoingOrder, _ wire: ExchangeWire) async throws -> TakenOrder {
        let fields: RawJSON
        do { fields = try await document(outgoing, wire) } catch DriverFailure.doubtful(let why) {
            // Of the order itself nothing has left yet.
            throw DriverFailure.away(why)
        }
        var taken: TakenOrder
        do {
            let made = try await client.create("odata.order", mapping.order.entity, fields, wire: wire)
            taken = TakenOrder(onecId: made["Ref_Key"]?.stringValue, onecNumber: ODataOrderState.number(made))
        } catch is ODataClient.EntityExists {
            guard var there = try await find(outgoing, wire) else {
                throw DriverFailure.refused("1С говорит, что такой документ уже есть, но не находит его")
            }
            there.wasThere = true
            taken = there
        } catch let failure as DriverFailure {
            // Perhaps because of a card that is not what it was.
            if case .refused = failure { known.forget() }
            throw failure
        }
        taken.isPosted = taken.isPosted ?? false
        return try await complete(taken, wire)
    }

    /// - Returns: why it is not posted; the document itself is there.
    private func post(_ key: String, _ wire: ExchangeWire) async throws -> String? {
        do {
            try await client.post("odata.post", mapping.order.entity, key, wire: wire)
            return nil
        } catch DriverFailure.refused(let reason) { return reason } catch is ODataClient.NoSuchEntity {
            return "документ исчез до проведения"
        } catch let failure as DriverFailure {
            // The document is there: it is looked up, and posted, when the base answers again.
            throw DriverFailure.doubtful("проведение не подтверждено: \(failure.words)")
        }
    }

    private func document(_ outgoing: OutgoingOrder, _ wire: ExchangeWire) async throws -> RawJSON {
        let order = outgoing.order
        guard let inn = organizations.first(where: { $0.code == order.organization })?.inn else {
            throw DriverFailure.refused("у организации \(order.organization) не указан ИНН: в 1С её не найти")
        }
        let organization = try await organizationKey(inn, wire)
        let currency = try await currencyKey(order.currency, wire)
        let goods = try await goods(order, wire)
        let names = mapping.order
        let rates = try await vatRates(of: order.lines, wire)
        // The last that is looked up, for it may be made.
        let client = try await counterparty(order.counterparty, wire)
        var fields = (names.set ?? [:]).mapValues(\.json)
        fields["Ref_Key"] = .string(order.orderId.description)
        fields["Date"] = .string("\(outgoing.day)T00:00:00")
        fields[names.counterparty] = .string(client)
        fields[names.organization] = .string(organization)
        fields[names.currency] = .string(currency)
        fields[names.total] = .double(Self.number(order.total.amount))
        if let partner = mapping.counterparty.partner {
            fields[partner.order] = .string(try await partnerKey(ofCard: client, partner, wire))
        }
        if let field = names.ourNumber { fields[field] = .string(Self.mark(outgoing)) }
        if let kind = names.kind {
            guard let value = kind.values[order.kind] else {
                throw DriverFailure.refused("вид заказа «\(order.kind)» не сопоставлен в профиле \(mapping.name)")
            }
            fields[kind.field] = value.json
        }
        if let field = names.comment {
            let words = [Self.title(outgoing)] + order.remarks(saysKind: names.kind == nil)
            fields[field] = .string(words.joined(separator: "\n"))
        }
        fields[names.lines.table] = .array(
            try zip(order.lines, goods).enumerated().map { index, pair in
                try line(index + 1, pair.0, good: pair.1, rates)
            })
        for (field, same) in names.repeats ?? [:] { fields[field] = fields[same] }
        if let rate = names.rate, order.currency.code == rate.currency {
            for field in rate.fields { fields[field] = .int(1) }
        }
        return .object(fields)
    }

    /// The base's own key of an organization.
    func organizationKey(_ inn: String, _ wire: ExchangeWire) async throws -> String {
        try await only(
            mapping.organization.entity, "\(mapping.organization.inn) eq \(Self.literal(inn))",
            "организации с ИНН \(inn)", wire)
    }

    /// The base's own key of a currency.
    func currencyKey(_ currency: Currency, _ wire: ExchangeWire) async throws -> String {
        guard let code = currency.isoNumber else {
            throw DriverFailure.refused("номер валюты \(currency) по ISO 4217 неизвестен")
        }
        return try await only(
            mapping.currency.entity, "Code eq \(Self.literal(code))", "валюты с кодом \(code)", wire)
    }

    /// What a row says for each rate of VAT: a value, or 1C's key of the rate.
    private func vatRates(of lines: [OrderLine], _ wire: ExchangeWire) async throws -> [String: String] {
        guard mapping.order.lines.vat != nil else { return [:] }
        var rates: [String: String] = [:]
        for rate in Set(lines.map { $0.vat ?? Self.withoutVAT }) {
            guard let word = mapping.vat?[rate] else {
                throw DriverFailure.refused("ставка НДС «\(rate)» не сопоставлена в профиле \(mapping.name)")
            }
            guard let catalog = mapping.vatRates else {
                rates[rate] = word
                continue
            }
            rates[rate] = try await only(
                catalog.entity, "\(catalog.field) eq \(Self.literal(word)) and DeletionMark eq false",
                "ставки НДС \(word)", wire)
        }
        return rates
    }
    private static let withoutVAT = "none"

    private func line(_ place: Int, _ line: OrderLine, good: String, _ rates: [String: String]) throws -> RawJSON {
        let names = mapping.order.lines
        var fields: [String: RawJSON] = [
            "LineNumber": .string(String(place)), names.good: .string(good),
            names.quantity: .double(Self.number(line.quantity.description)),
            names.price: .double(Self.number(line.price.description)), names.sum: .double(Self.number(line.sum.amount)),
        ]
        if let field = names.vat, let rate = rates[line.vat ?? Self.withoutVAT] { fields[field] = .string(rate) }
        if names.goodIsAnyOf == true { fields["\(names.good)_Type"] = .string("StandardODATA.\(mapping.good.entity)") }
        if let field = names.vatSum { fields[field] = .double(Self.number(line.vatSum.amount)) }
        if let field = names.discount, let discount = line.discount {
            fields[field] = .double(Self.number(discount.amount))
        }
        for (field, same) in names.repeats ?? [:] { fields[field] = fields[same] }
        return .object(fields)
    }

    /// The key of the one entity that fits.
    private func only(_ entity: String, _ filter: String, _ what: String, _ wire: ExchangeWire) async throws -> String {
        let question = "\(entity)?\(filter)"
        if let key = known.key(question) { return key }
        let rows = try await client.rows(
            "odata.find", entity, filter: filter, select: ["Ref_Key"], wire: wire
        ).rows.compactMap { $0["Ref_Key"]?.stringValue }
        guard let first = rows.first else { throw DriverFailure.refused("в 1С нет \(what)") }
        guard rows.count == 1 else { throw DriverFailure.refused("в 1С не одна запись для \(what): оставьте одну") }
        known.keep(question, first)
        return first
    }

    /// A text in a filter: quotes are doubled.
    static func literal(_ text: String) -> String { "'\(text.replacing("'", with: "''"))'" }

    /// A decimal as a JSON number. Fifteen digits are exact, which no sum of an order exceeds.
    private static func number(_ text: String) -> Double { Double(text) ?? 0 }
}
