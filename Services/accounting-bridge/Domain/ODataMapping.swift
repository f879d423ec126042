import Contracts
import Primitives

/// Where in a configuration's OData interface the things of the exchange stand. A mapping is data (`Mappings/*.yaml`): one per configuration, with
/// a version, changed without a new build. Whether a base really has these names is compared at each connect.
struct ODataMapping: Decodable, Sendable {
    /// A value that stands in the mapping itself.
    enum Constant: Decodable, Sendable {
        case bool(Bool)
        case int(Int64)
        case string(String)

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            // In this order: to a reader of YAML everything is a text, too.
            if let value = try? container.decode(Bool.self) {
                self = .bool(value)
            } else if let value = try? container.decode(Int64.self) {
                self = .int(value)
            } else {
                self = .string(try container.decode(String.self))
            }
        }

        var json: RawJSON {
            switch self {
            case .bool(let value): .bool(value)
            case .int(let value): .int(value)
            case .string(let value): .string(value)
            }
        }
    }
    struct Lines: Decodable, Sendable {
        let table, good, quantity, price, sum: String
        /// The field of the good may name things of several kinds, so that its kind must be written, too.
        let goodIsAnyOf: Bool?
        /// The rate of the tax; how much of the sum it is; how much less than quantity × price the sum is.
        let vat, vatSum, discount: String?
        /// Fields that have the same value as another one of the row.
        let repeats: [String: String]?
    }
    struct Kind: Decodable, Sendable {
        let field: String
        let values: [String: Constant]
    }
    struct Order: Decodable, Sendable {
        let entity, counterparty, organization, currency, total: String
        /// Fields of text: what a person reads, and where our number is found again.
        let comment, ourNumber: String?
        let status: String?
        /// The field for the kind of an order, and what stands in it for each; without it the comment says it.
        let kind: Kind?
        /// Fields that are true once a department has done its part of an order for signing, by department.
        let marks: [String: String]?
        let post: Bool
        let lines: Lines
        /// Fields that always have these values.
        let set: [String: Constant]?
        /// Fields that have the same value as another one.
        let repeats: [String: String]?
        /// Fields that are 1 in an order in this currency, the base's own; the rate of another is for 1C to fill in.
        let rate: Rate?
        struct Rate: Decodable, Sendable {
            let currency: String
            let fields: [String]
        }
    }
    struct Client: Decodable, Sendable {
        let entity, name: String
        let fullName: String?
        let inn, kpp: String
        /// The field that marks a group.
        let group: String?
        /// Fields that tell a firm, a person and a sole trader apart; without the last a trader is written as a firm.
        let firm, person, trader: [String: Constant]?
        let partner: Partner?

        func particulars(of who: Counterparty) -> [String: Constant] {
            // A trader's INN is a person's, of twelve digits; a firm's has ten.
            let isTrader = who.isFirm && who.inn?.utf8.count == 12
            return (isTrader ? trader ?? firm : who.isFirm ? firm : person) ?? [:]
        }
    }
    /// Of whom a counterparty is the legal side (УТ 11 «Партнёры»): an order names both. A client who is new
    /// there gets both, for partners without a counterparty, such as leads, are not told apart by INN.
    struct Partner: Decodable, Sendable {
        /// The catalog of partners; the fields that name one in a counterparty's card and in an order.
        let entity, field, order: String
        let name: String
        let fullName: String?
        let set, firm, person: [String: Constant]?
    }
    /// The catalog of rates of VAT, where a row names one of it and not a value: the field that has the value.
    struct Rates: Decodable, Sendable { let entity, field: String }
    struct Good: Decodable, Sendable {
        let entity, sku: String
        /// The field that marks a group; a base that lacks it is not asked for all its goods.
        let group: String?
        /// The register of barcodes; a base that lacks it is asked by article alone.
        let barcodes: Barcodes?
    }
    struct Barcodes: Decodable, Sendable { let entity, code, good: String }
    struct Organization: Decodable, Sendable { let entity, inn: String }
    struct Money: Decodable, Sendable { let entity: String }

    /// Documents that belong to an order. An entity may stand here more than once: what an earlier entry tells of a document and an order
    /// holds, a later one tells of the others.
    struct Document: Decodable, Sendable {
        let kind, entity: String
        /// The table whose rows name the orders; nil when the document itself does.
        let rows: String?
        /// The field that names the order.
        let order: String
        /// It may name things of several kinds, so that its kind must be said.
        let orderIsAnyOf: Bool?
        /// It names the order's object of settlements (``Settlements``) and not the order.
        let isSettled: Bool?
        /// It names a document of this entity, which stands before it in the list, and not the order: a return names what was shipped.
        let through: String?
        /// Fields that have these values in a document of this kind; others of its entity are something else.
        let when: [String: String]?
        let amount: String
        /// The field with the document's currency: a sum in another one than the order's is not its sum.
        let currency: String?
        /// The number that people know it by, when that is not its own.
        let number: String?
        /// Not every release of the configuration has it: where it is missing nothing is missed.
        let optional: Bool?

        /// What it is read from: a kind of document may name its order itself, or in its rows.
        var place: String { rows.map { "\(entity)_\($0)" } ?? entity }
    }

    /// The catalog in which each order has an object that its money is settled by (УТ 11.5 «Объекты расчётов»): payments name that.
    struct Settlements: Decodable, Sendable {
        let entity, order: String
        let orderIsAnyOf: Bool?
    }

    /// The register of sales, whose records say what the goods of an order have brought and cost; a return stands in it with a minus.
    struct Cost: Decodable, Sendable {
        let entity, order: String
        let orderIsAnyOf: Bool?
        let amount, revenue: String
        /// Its sums are in the currency of the company's accounts: an order in another has none.
        let currency: String
    }

    /// The register in which БСП's «Версионирование объектов» keeps who wrote an object, and when. A base without it tells no authors.
    struct Versions: Decodable, Sendable {
        /// The object may be of any kind; of its versions the highest number is the newest.
        let entity, object, number: String
        /// By the base's own clock.
        let at: String
        /// A user, or a node of an exchange plan whose data were written.
        let author: String
        /// How the version came about, and which kinds are what the object has become: others are data that the base did not take.
        let kind: String
        let kinds: [String]
    }

    let name, title: String
    let version: Int
    let order: Order
    let counterparty: Client
    let good: Good
    let organization: Organization
    let currency: Money
    let vat: [String: String]?
    let vatRates: Rates?
    let settlements: Settlements?
    let documents: [Document]
    let cost: Cost?
    let versions: Versions?
}

extension ODataMapping {
    /// Fields by entity that the exchange cannot do without.
    var needed: [String: Set<String>] {
        var fields: [String: Set<String>] = [:]
        fields[order.entity, default: []].formUnion(
            [
                "Ref_Key", "Number", "Date", "DeletionMark", "Posted", order.counterparty, order.organization,
                order.currency, order.total,
            ])
        fields[order.entity, default: []].formUnion(
            [order.comment, order.ourNumber, order.status, order.kind?.field].compactMap { $0 }
                + (order.set ?? [:]).keys + (order.repeats ?? [:]).keys + (order.rate?.fields ?? [])
                + [counterparty.partner?.order].compactMap { $0 }
                + (order.marks ?? [:]).values)
        fields["\(order.entity)_\(order.lines.table)", default: []].formUnion(
            [
                order.lines.good, order.lines.goodIsAnyOf == true ? "\(order.lines.good)_Type" : nil,
                order.lines.quantity, order.lines.price, order.lines.sum, order.lines.vat, order.lines.vatSum,
                order.lines.discount,
            ].compactMap { $0 } + (order.lines.repeats ?? [:]).keys)
        fields[counterparty.entity, default: []].formUnion(
            [
                "Ref_Key", "DeletionMark", counterparty.name, counterparty.inn, counterparty.kpp, counterparty.fullName,
                counterparty.group, counterparty.partner?.field,
            ]
            .compactMap { $0 }
                + [counterparty.firm, counterparty.person, counterparty.trader].flatMap { ($0 ?? [:]).keys })
        if let partner = counterparty.partner {
            fields[partner.entity, default: []].formUnion(
                ["Ref_Key", partner.name] + [partner.fullName].compactMap { $0 } + (partner.set ?? [:]).keys
                    + (partner.firm ?? [:]).keys + (partner.person ?? [:]).keys)
        }
        fields[good.entity, default: []].formUnion(["Ref_Key", "Description", "DeletionMark", good.sku])
        fields[organization.entity, default: []].formUnion(["Ref_Key", organization.inn])
        fields[currency.entity, default: []].formUnion(["Ref_Key", "Code"])
        if let rates = vatRates { fields[rates.entity, default: []].formUnion(["Ref_Key", rates.field]) }
        return fields
    }

    /// Fields by entity that one kind of document needs.
    func needed(by document: Document) -> [String: Set<String>] {
        var fields: [String: Set<String>] = [
            document.entity: Set(
                ["Ref_Key", "Number", "Date", "DeletionMark", "Posted"]
                    + [document.number, document.currency].compactMap { $0 } + (document.when ?? [:]).keys)
        ]
        fields[document.place, default: []].formUnion([document.order, document.amount])
        if document.isSettled == true, let settlements {
            fields[settlements.entity, default: []].formUnion(["Ref_Key", settlements.order])
        }
        return fields
    }

    func needed(by barcodes: Barcodes) -> [String: Set<String>] { [barcodes.entity: [barcodes.code, barcodes.good]] }

    func needed(by cost: Cost) -> [String: Set<String>] {
        [cost.entity: ["Recorder", "LineNumber", "Active", cost.order, cost.amount, cost.revenue]]
    }

    func needed(by versions: Versions) -> [String: Set<String>] {
        [versions.entity: Set(ODataVersions(versions: versions).fields)]
    }

    /// What a base lacks of what is needed, in words.
    static func missing(_ needed: [String: Set<String>], in metadata: ODataMetadata) -> [String] {
        needed.sorted { $0.key < $1.key }.flatMap { entity, fields -> [String] in
            guard let known = metadata.fields[entity] else { return ["нет объекта \(entity)"] }
            return fields.subtracting(known).sorted().map { "у объекта \(entity) нет поля \($0)" }
        }
    }

    /// Entities whose fields are wanted of a description.
    var entities: Set<String> {
        Set(needed.keys).union(documents.flatMap { needed(by: $0).keys }).union(cost.map { [$0.entity] } ?? [])
            .union([good.barcodes?.entity, versions?.entity].compactMap { $0 })
    }
}
