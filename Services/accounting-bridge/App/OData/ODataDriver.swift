import Contracts
import Messaging
import Primitives
import ServiceKit
import Synchronization

/// A 1C base behind its standard OData interface. Our id of an order is the key of its document there, so that giving it again finds it («сущность с
/// таким ключом уже существует», reference b.14) and makes nothing twice.
///
/// - Note: written from the facts in the platform's own description; not yet tried on a live base.
struct ODataDriver: AccountingDriver {
    let base: SuiteSettings.Base
    let organizations: [SuiteSettings.Organization]
    let mapping: ODataMapping
    let client: ODataClient
    let links: CounterpartyLinks
    private let known = Known()

    /// What was learned of the base and holds for a while.
    private final class Known: Sendable {
        private struct Facts {
            /// Kinds of documents that cannot be read, and why.
            var unreadable: [String: String] = [:]
            var keys: [String: (key: String, at: ContinuousClock.Instant)] = [:]
        }
        private let facts = Mutex(Facts())

        /// Seconds for which the key of an organization, a currency or a good is believed, and how many are kept.
        private static let memory = 60.0
        private static let limit = 10_000

        var unreadable: [String: String] { facts.withLock { $0.unreadable } }
        var limits: [String] { unreadable.sorted { $0.key < $1.key }.map(\.value) }
        func set(unreadable: [String: String]) { facts.withLock { $0 = Facts(unreadable: unreadable) } }
        func add(unreadable entity: String, _ why: String) { facts.withLock { $0.unreadable[entity] = why } }

        func key(_ question: String) -> String? {
            facts.withLock { facts in
                facts.keys[question].flatMap { $0.at.duration(to: .now).seconds < Self.memory ? $0.key : nil }
            }
        }
        func keep(_ question: String, _ key: String) {
            facts.withLock { facts in
                if facts.keys.count >= Self.limit { facts.keys = [:] }
                facts.keys[question] = (key, .now)
            }
        }
        func forget() { facts.withLock { $0.keys = [:] } }
    }

    func isReadable(_ document: ODataMapping.Document) -> Bool { known.unreadable[document.entity] == nil }

    /// It cannot be read until the next check; the other kinds can.
    func passOver(_ document: ODataMapping.Document, _ why: String) {
        known.add(unreadable: document.entity, "\(document.entity) не читается: \(why)")
    }

    init(
        _ base: SuiteSettings.Base, organizations: [SuiteSettings.Organization], mapping: ODataMapping,
        bus: EventBus
    ) {
        (self.base, self.organizations, self.mapping) = (base, organizations, mapping)
        client = ODataClient(
            url: base.url, login: base.login, password: base.password,
            timeout: Double(base.timeoutSeconds), sessions: SessionKeeper(pool: bus.pool, base: base.base))
        links = CounterpartyLinks(bus: bus, base: base.base)
    }

    // MARK: fit

    func check(_ wire: ExchangeWire) async throws -> [String] {
        let metadata = try await client.metadata(mapping.entities, wire: wire)
        let missing = ODataMapping.missing(mapping.needed, in: metadata)
        guard missing.isEmpty else { throw DriverFailure.unfit(missing) }
        var unreadable: [String: String] = [:]
        for document in mapping.documents {
            let lacks = ODataMapping.missing(mapping.needed(by: document), in: metadata)
            if !lacks.isEmpty { unreadable[document.entity] = lacks.joined(separator: "; ") }
        }
        known.set(unreadable: unreadable)
        return limits
    }

    // MARK: giving

    func find(_ order: OutgoingOrder, _ wire: ExchangeWire) async throws -> TakenOrder? {
        let names = mapping.order
        let select = ["Ref_Key", "Number", "Posted", "DeletionMark", names.total]
        let key = order.order.orderId.description
        if let own = try await client.one("odata.find", names.entity, key, select: select, wire: wire) {
            return taken(own)
        }
        // A base that gave it a key of its own: found by what only we write, and only when it is the same sum.
        let filter =
            names.ourNumber.map { "\($0) eq \(Self.literal(Self.mark(order)))" }
            ?? names.comment.map { "startswith(\($0), \(Self.literal(Self.title(order)))) eq true" }
        guard let filter else { return nil }
        let rows = try await client.rows("odata.find", names.entity, filter: filter, select: select, wire: wire).rows
            .filter {
                ODataOrderState.money($0[names.total], order.order.currency) == order.order.total
                    && $0["DeletionMark"] != .bool(true)
            }
        guard rows.count < 2 else {
            throw DriverFailure.refused("в 1С несколько документов с нашим номером \(order.order.number)")
        }
        return rows.first.map(taken)
    }

    private func taken(_ row: RawJSON) -> TakenOrder {
        TakenOrder(
            onecId: row["Ref_Key"]?.stringValue, onecNumber: ODataOrderState.number(row),
            isPosted: row["Posted"] == .bool(true))
    }

    /// What stands in a field for the client's own number: nobody else writes such a text there.
    private static func mark(_ order: OutgoingOrder) -> String { "TL-\(order.order.number)" }
    /// The first line of the comment.
    private static func title(_ order: OutgoingOrder) -> String { "Throughline № \(order.order.number)." }

    var tellsUnasked: Bool { false }
    var limits: [String] { known.limits }

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
        let organization = try await only(
            mapping.organization.entity, "\(mapping.organization.inn) eq \(Self.literal(inn))",
            "организации с ИНН \(inn)", wire)
        guard let code = order.currency.isoNumber else {
            throw DriverFailure.refused("номер валюты \(order.currency) по ISO 4217 неизвестен")
        }
        let currency = try await only(
            mapping.currency.entity, "Code eq \(Self.literal(code))", "валюты с кодом \(code)", wire)
        let client = try await counterparty(order.counterparty, wire)
        let goods = try await goods(order.lines, wire)
        let names = mapping.order
        var fields = (names.set ?? [:]).mapValues(\.json)
        fields["Ref_Key"] = .string(order.orderId.description)
        fields["Date"] = .string("\(outgoing.day)T00:00:00")
        fields[names.counterparty] = .string(client)
        fields[names.organization] = .string(organization)
        fields[names.currency] = .string(currency)
        fields[names.total] = .double(Self.number(order.total.amount))
        if let field = names.ourNumber { fields[field] = .string(Self.mark(outgoing)) }
        if let field = names.comment {
            let words = [Self.title(outgoing), order.comment, order.address.map { "Адрес доставки: \($0)" }]
            fields[field] = .string(words.compactMap { $0 }.joined(separator: "\n"))
        }
        fields[names.lines.table] = .array(
            try zip(order.lines, goods).enumerated().map { index, pair in try line(index + 1, pair.0, good: pair.1) })
        return .object(fields)
    }

    private func line(_ place: Int, _ line: OrderLine, good: String) throws -> RawJSON {
        let names = mapping.order.lines
        var fields: [String: RawJSON] = [
            "LineNumber": .string(String(place)), names.good: .string(good),
            names.quantity: .double(Self.number(line.quantity.description)),
            names.price: .double(Self.number(line.price.description)), names.sum: .double(Self.number(line.sum.amount)),
        ]
        if let field = names.vat {
            let rate = line.vat ?? "none"
            guard let word = mapping.vat?[rate] else {
                throw DriverFailure.refused("ставка НДС «\(rate)» не сопоставлена в профиле \(mapping.name)")
            }
            fields[field] = .string(word)
        }
        return .object(fields)
    }

    /// Goods by article, or by name when they have none; one that 1C does not know, or knows twice, is a reason to set the order aside.
    private func goods(_ lines: [OrderLine], _ wire: ExchangeWire) async throws -> [String] {
        var known: [String: String] = [:]
        for line in lines {
            let (field, value) = line.sku.isEmpty ? ("Description", line.name) : (mapping.good.sku, line.sku)
            let name = "\(field)=\(value)"
            if known[name] == nil {
                known[name] = try await only(
                    mapping.good.entity, "\(field) eq \(Self.literal(value)) and DeletionMark eq false",
                    line.sku.isEmpty ? "товара с названием «\(value)»" : "товара с артикулом «\(value)»", wire)
            }
        }
        return lines.compactMap { known[$0.sku.isEmpty ? "Description=\($0.name)" : "\(mapping.good.sku)=\($0.sku)"] }
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

    // MARK: the client

    /// 1C's key of the client: the link we have, else by INN and KPP, else made with our id as its key (rule 2 of the domain).
    private func counterparty(_ who: Counterparty, _ wire: ExchangeWire) async throws -> String {
        if let linked = try await links.find(who.id) { return linked }
        let names = mapping.counterparty
        if let inn = who.inn {
            let filter = "\(names.inn) eq \(Self.literal(inn)) and DeletionMark eq false"
            let cards = try await client.rows(
                "odata.client", names.entity, filter: filter, select: ["Ref_Key", names.kpp], wire: wire
            ).rows.compactMap { row in
                row["Ref_Key"]?.stringValue.map { (key: $0, kpp: row[names.kpp]?.stringValue?.trimmed.nonEmpty) }
            }
            // Of the same КПП, or the only one, if it has none: a firm's branches differ by it.
            let same = cards.filter { who.kpp == nil || $0.kpp == who.kpp }
            let fits = same.isEmpty ? cards.filter { $0.kpp == nil } : same
            guard fits.count < 2, !fits.isEmpty || cards.isEmpty else {
                throw DriverFailure.refused(
                    "в 1С \(fits.isEmpty ? "другой КПП у контрагента" : "несколько контрагентов") с ИНН \(inn)\(who.kpp.map { ", КПП \($0)" } ?? ""): свяжите нужного на странице «Клиенты 1С»"
                )
            }
            if let card = fits.first {
                return try await links.keep(who.id, card.key, rule: card.kpp == nil ? "inn" : "inn+kpp")
            }
        }
        var fields = ((who.isFirm ? names.firm : names.person) ?? [:]).mapValues(\.json)
        fields["Ref_Key"] = .string(who.id.description)
        fields[names.name] = .string(String(who.name.prefix(100)))
        if let field = names.fullName { fields[field] = .string(who.name) }
        if let inn = who.inn { fields[names.inn] = .string(inn) }
        if let kpp = who.kpp { fields[names.kpp] = .string(kpp) }
        do {
            let made = try await client.create("odata.client", names.entity, .object(fields), wire: wire)
            return try await links.keep(who.id, made["Ref_Key"]?.stringValue ?? who.id.description, rule: "made")
        } catch is ODataClient.EntityExists {
            return try await links.keep(who.id, who.id.description, rule: "made")
        }
    }

    // MARK: words of the language

    /// A text in a filter: quotes are doubled.
    static func literal(_ text: String) -> String { "'\(text.replacing("'", with: "''"))'" }

    /// A decimal as a JSON number. Fifteen digits are exact, which no sum of an order exceeds.
    private static func number(_ text: String) -> Double { Double(text) ?? 0 }

    func link(toOrder onecId: String) -> String? {
        ODataDriver.navigationLink(base.url, mapping.order.entity, onecId)
    }

    /// A navigation link of the web client, which the publication of OData has at its root: `…/#e1cib/data/Документ.X?ref=…`, where the reference
    /// is the key with its groups in another order.
    static func navigationLink(_ url: String, _ entity: String, _ key: String) -> String? {
        let kinds = ["Document_": "Документ.", "Catalog_": "Справочник."]
        let groups = key.split(separator: "-").map(String.init)
        guard let kind = kinds.first(where: { entity.hasPrefix($0.key) }), groups.map(\.count) == [8, 4, 4, 4, 12],
            groups.joined().allSatisfy(\.isHexDigit)
        else { return nil }
        let name = kind.value + entity.dropFirst(kind.key.count)
        let reference = groups[3] + groups[4] + groups[2] + groups[1] + groups[0]
        return "\(url)/#e1cib/data/\(ODataClient.encoded(name))?ref=\(reference.lowercased())"
    }

    func accept(_ heard: [HeardReport]) async throws {}

    /// Only the base itself can tell it again.
    func understand(_ bytes: [UInt8], from target: String) throws -> [OrderReport]? { nil }
}
