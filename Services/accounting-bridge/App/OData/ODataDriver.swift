import Contracts
import Messaging
import Postgres
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
    let bus: EventBus
    let births: OrderBirths
    var pool: PostgresPool { bus.pool }
    let known = Known()

    /// What was learned of the base and holds for a while.
    final class Known: Sendable {
        private struct Facts {
            /// Kinds of documents that cannot be read, and why.
            var unreadable: [String: String] = [:]
            /// Optional kinds that this base does not have.
            var absent: Set<String> = []
            var keys: [String: (key: String, at: ContinuousClock.Instant)] = [:]
            /// Questions for changes in a row that nobody answered.
            var unanswered = 0
            /// Until when nobody is asked who changed what: the base did not answer it.
            var authorsRestUntil: ContinuousClock.Instant?
            /// Entities whose names it does not show, and why.
            var nameless: [String: String] = [:]
        }
        private let facts = Mutex(Facts())

        /// Seconds for which the key of an organization, a currency or a good is believed, and how many are kept.
        private static let memory = 60.0
        private static let limit = 10_000

        var unreadable: [String: String] { facts.withLock { $0.unreadable } }
        var limits: [String] { unreadable.sorted { $0.key < $1.key }.map(\.value) }
        var absent: Set<String> { facts.withLock { $0.absent } }
        func set(unreadable: [String: String], absent: Set<String>) {
            facts.withLock { $0 = Facts(unreadable: unreadable, absent: absent) }
        }
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
        /// Questions for changes that may stay without an answer before they are no longer asked until the next check.
        private static let patience = 5

        func changesCame() { facts.withLock { $0.unanswered = 0 } }
        /// - Returns: whether it has happened too often.
        func changesFailed() -> Bool {
            facts.withLock { facts in
                facts.unanswered += 1
                return facts.unanswered >= Self.patience
            }
        }
        private static let authorsRest = 600.0
        var mayAskAuthors: Bool { facts.withLock { $0.authorsRestUntil.map { $0 <= .now } ?? true } }
        func nameless(_ entity: String) -> String? { facts.withLock { $0.nameless[entity] } }
        func keep(nameless entity: String, _ why: String) { facts.withLock { $0.nameless[entity] = why } }
        func restAuthors() { facts.withLock { $0.authorsRestUntil = .now + .seconds(Self.authorsRest) } }

        func forget() { facts.withLock { $0.keys = [:] } }
    }

    func isReadable(_ entity: String) -> Bool { known.unreadable[entity] == nil }

    /// It cannot be read until the next check; the other kinds can.
    func passOver(_ entity: String, _ why: String) {
        known.add(unreadable: entity, "\(entity) не читается: \(why)")
    }

    init(
        _ base: SuiteSettings.Base, organizations: [SuiteSettings.Organization], mapping: ODataMapping,
        bus: EventBus, births: OrderBirths
    ) {
        self.init(
            base, organizations: organizations, mapping: mapping, bus: bus, births: births,
            client: ODataClient(
                url: base.url, login: base.login, password: base.password,
                timeout: Double(base.timeoutSeconds), sessions: SessionKeeper(pool: bus.pool, base: base.base)),
            links: CounterpartyLinks(bus: bus, base: base.base))
    }

    private init(
        _ base: SuiteSettings.Base, organizations: [SuiteSettings.Organization], mapping: ODataMapping,
        bus: EventBus, births: OrderBirths, client: ODataClient, links: CounterpartyLinks
    ) {
        (self.base, self.organizations, self.mapping) = (base, organizations, mapping)
        (self.bus, self.births, self.client, self.links) = (bus, births, client, links)
    }

    /// The same base through another mapping, in the same session. What has changed is left to whom it is for.
    func trying(_ mapping: ODataMapping) -> ODataDriver {
        var quiet = base
        (quiet.exchangeNode, quiet.bornSince) = ("", "")
        return ODataDriver(
            quiet, organizations: organizations, mapping: mapping, bus: bus, births: births, client: client,
            links: links)
    }

    // MARK: fit

    func check(_ wire: ExchangeWire) async throws {
        let metadata = try await client.metadata(
            mapping.entities, for: "профиль \(mapping.name), версия \(mapping.version)", wire: wire)
        let missing = ODataMapping.missing(mapping.needed, in: metadata)
        guard missing.isEmpty else { throw DriverFailure.unfit(missing) }
        var (unreadable, absent) = ([String: String](), Set<String>())
        for document in mapping.documents {
            let lacks = ODataMapping.missing(mapping.needed(by: document), in: metadata)
            guard !lacks.isEmpty else { continue }
            if document.optional == true {
                absent.insert(document.place)
            } else {
                unreadable[document.place] = lacks.joined(separator: "; ")
            }
        }
        if let group = mapping.good.group {
            let lacks = ODataMapping.missing([mapping.good.entity: [group]], in: metadata)
            if !lacks.isEmpty {
                unreadable[mapping.good.entity] = "\(lacks.joined(separator: "; ")), все товары не читаются"
            }
        }
        if let barcodes = mapping.good.barcodes,
            !ODataMapping.missing(mapping.needed(by: barcodes), in: metadata).isEmpty
        {
            absent.insert(barcodes.entity)
        }
        if let versions = mapping.versions,
            !ODataMapping.missing(mapping.needed(by: versions), in: metadata).isEmpty
        {
            absent.insert(versions.entity)
        }
        if let cost = mapping.cost {
            let lacks = ODataMapping.missing(mapping.needed(by: cost), in: metadata)
            if !lacks.isEmpty { unreadable[cost.entity] = lacks.joined(separator: "; ") }
        }
        known.set(unreadable: unreadable, absent: absent)
    }

    var tellsCards: Bool { true }
    var tellsUnasked: Bool { false }
    var limits: [String] { known.limits }

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

    func release(order number: String) async throws {}

    func accept(_ heard: [HeardReport]) async throws {}

    /// Only the base itself can tell it again.
    func understand(_ bytes: [UInt8], from target: String) throws -> [OrderReport]? { nil }
}
