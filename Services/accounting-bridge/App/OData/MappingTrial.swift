import Contracts
import Hummingbird
import Messaging
import Postgres
import Primitives
import ServiceKit
import Synchronization

/// Tries a mapping on what is past before it is switched on: the base's orders that we know are read through it once more, and compared with what was
/// told of them. Nothing is said and nothing kept, but the questions stand in the journal.
struct MappingTrial: Sendable {
    let bus: EventBus
    let systems: [SystemLine]
    private let running = Running()

    init(bus: EventBus, systems: [SystemLine]) { (self.bus, self.systems) = (bus, systems) }

    /// One trial at a time: the base has work to do.
    private final class Running: Sendable {
        private let flag = Mutex(false)
        func begin() -> Bool {
            flag.withLock { flag in
                defer { flag = true }
                return !flag
            }
        }
        func end() { flag.withLock { $0 = false } }
    }

    /// Orders that are read again unless the caller names a number, and at most.
    static let usual: Int64 = 100
    static let limit: Int64 = 500

    struct Wish: Decodable {
        /// The name of a mapping that is built in; or the text of one.
        let mapping, yaml: String?
        let orders: Int64?
    }

    struct Outcome: AnswerShape {
        let mapping: String
        let version: Int
        /// What the base lacks of what the mapping needs; with these it would not be talked to at all.
        let missing: [String]
        /// Kinds of documents that would not be read, and why.
        let limits: [String]
        let read, same: Int
        let different: [Difference]
        let unreadable: [Unreadable]
    }
    struct Difference: AnswerShape {
        let number: String
        /// Field by field: what was told, and what this mapping tells.
        let changes: [String]
    }
    struct Unreadable: AnswerShape { let number, reason: String }

    func add(to router: Router<ServiceRequestContext>) {
        router.post("/api/v1/bases/:base/mapping-trials") { request, context in
            _ = try context.require("integrator")
            let name = try context.text("base")
            guard let line = systems.first(where: { $0.base.base == name }) else { throw Problem.notFound("base") }
            guard let driver = line.driver as? ODataDriver else {
                throw Problem.invalid("only a base of driver odata has a mapping")
            }
            let wish = try await request.json(Wish.self)
            guard try await !line.isPaused() else { throw Problem.conflict("the base is paused by a person") }
            guard running.begin() else { throw Problem.conflict("another trial is running") }
            defer { running.end() }
            return try Response.json(try await run(driver, wish, line.wire))
        }
    }

    private func mapping(_ wish: Wish) throws -> ODataMapping {
        do {
            switch (wish.mapping, wish.yaml) {
            case (let name?, nil): return try ODataMappings.builtIn(name)
            case (nil, let text?):
                return try ODataMappings.read(text, named: "yaml")
            default: throw Problem.invalid("either mapping or yaml is wanted")
            }
        } catch let wrong as WrongSettings { throw Problem.invalid(wrong.problems.joined(separator: "; ")) }
    }

    private func run(_ live: ODataDriver, _ wish: Wish, _ wire: ExchangeWire) async throws -> Outcome {
        let mapping = try mapping(wish)
        let count = wish.orders ?? Self.usual
        guard (1...Self.limit).contains(count) else {
            throw Problem.invalid("orders is a number from 1 to \(Self.limit)")
        }
        let driver = live.trying(mapping)
        func outcome(
            missing: [String] = [], read: Int = 0, _ different: [Difference] = [], _ unreadable: [Unreadable] = []
        ) -> Outcome {
            Outcome(
                mapping: mapping.name, version: mapping.version, missing: missing, limits: driver.limits, read: read,
                same: read - different.count - unreadable.count, different: different, unreadable: unreadable)
        }
        do {
            try await driver.check(wire)
            let known = try await known(live.base.base, count)
            var (different, unreadable): ([Difference], [Unreadable]) = ([], [])
            for heard in try await driver.read(known.map(\.asked), wire) {
                guard let before = known.first(where: { $0.asked.number == heard.number }) else { continue }
                switch heard.result {
                case .failure(let failure): unreadable.append(.init(number: before.asked.number, reason: failure.words))
                case .success(let report):
                    let changes = before.changes(to: report)
                    if !changes.isEmpty { different.append(.init(number: before.asked.number, changes: changes)) }
                case nil: continue
                }
            }
            return outcome(read: known.count, different, unreadable)
        } catch DriverFailure.unfit(let missing) { return outcome(missing: missing) } catch let failure as DriverFailure
        {
            throw Problem(.badGateway, "base-away", "The base does not answer", detail: failure.words)
        }
    }

    /// An order as it was told last.
    struct Known: Sendable {
        let asked: AskedOrder
        let onecNumber: String?
        let total: Money?
        let posted: Bool?
        let cancelled: Bool
        let documents: [ReportedDocument]

        func changes(to report: OrderReport) -> [String] {
            var changes: [String] = report.refused
            func compare(_ what: String, _ old: String?, _ new: String?) {
                if old != new { changes.append("\(what): \(old ?? "—") → \(new ?? "—")") }
            }
            func word(_ flag: Bool?) -> String? { flag.map { $0 ? "да" : "нет" } }
            compare("номер в 1С", onecNumber, report.onecNumber)
            compare("сумма", total.map { HumanText.money($0) }, report.total.map { HumanText.money($0) })
            compare("проведён", word(posted), word(report.posted))
            compare("отменён", word(cancelled), word(report.cancelled))
            let vanished = documents.filter { old in
                !old.cancelled && !report.documents.contains { $0.kind == old.kind && $0.onecId == old.onecId }
            }
            func name(_ kind: String, _ number: String?) -> String {
                "\(OrderReports.kinds[kind] ?? kind) \(number ?? "без номера")"
            }
            changes += vanished.map { "\(name($0.kind, $0.number)): не находится" }
            changes += DocumentChange.between(documents, report.documents).map {
                "\(name($0.kind, $0.number)): \($0.words)"
            }
            return changes
        }
    }

    /// The newest orders of the base that it has told of.
    private func known(_ base: String, _ count: Int64) async throws -> [Known] {
        try await bus.pool.query(
            """
            SELECT id, number, onec_id, onec_number, request ->> 'currency' AS currency, told_total::text AS total, told_posted,
                told_cancelled, told_documents::text AS documents
            FROM order_out WHERE base = $1 AND report_digest IS NOT NULL ORDER BY requested_at DESC LIMIT $2
            """, [.text(base), .int(count)]
        ).map { row in
            Known(
                asked: AskedOrder(
                    id: try row.id("id"), number: try row.string("number"), onecId: try row.optionalString("onec_id"),
                    currency: Currency(try row.string("currency")) ?? .rub),
                onecNumber: try row.optionalString("onec_number"),
                total: try row.optionalString("total").map { try JSON.decode(Money.self, from: $0.utf8) },
                posted: try row.optionalBool("told_posted"), cancelled: try row.bool("told_cancelled"),
                documents: try JSON.decode([ReportedDocument].self, from: try row.string("documents").utf8).filter {
                    $0.base == nil
                })
        }
    }
}
