import Hummingbird
import Messaging
import Postgres
import Primitives
import ServiceKit

/// Changes of documents of the past (ONEC-15): what was, what is, when we heard of it, and who made them, where the base tells that.
struct LateChanges: Sendable {
    let pool: PostgresPool

    struct Change: AnswerShape {
        let orderNumber, base, kind: String
        let number, day: String?
        let words: String
        /// Who wrote it in 1C, and when by 1C's own clock.
        let by, byAt: String?
        /// Why that is not known, in words.
        let byUnknown: String?
        let at: Timestamp
        let exchangeId: ID
    }

    /// Who made a change, as it is kept.
    struct Author {
        let name, at, unknown: String?

        init(_ row: Row) throws {
            (name, at) = (try row.optionalString("by_whom"), try row.optionalString("by_whom_at"))
            unknown = try row.optionalString("by_whom_unknown")
        }

        /// To go on with behind the change; empty when it has not been asked, or cannot be.
        var words: String {
            guard let name else { return unknown.map { " (кто изменил, неизвестно: \($0))" } ?? "" }
            let time = at.map { ", \(FoundAuthor.words(at: $0)) по часам 1С" } ?? ""
            return " (последним записал в 1С: \(name)\(time))"
        }
    }
    static let author = "by_whom, by_whom_at, by_whom_unknown"

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/api/v1/late-changes") { request, context in
            try context.require("head", "accountant", "integrator", "reader")
            return try Response.json(Page(items: try await list(limit: try request.limit()), next: nil))
        }
    }

    /// The newest first.
    func list(limit: Int) async throws -> [Change] {
        try await pool.query(
            """
            SELECT order_number, base, kind, number, day::text AS day, words, at, exchange_id, \(Self.author)
            FROM told_change WHERE is_late ORDER BY id DESC LIMIT $1
            """, [.int(limit)]
        ).map { row in
            let author = try Author(row)
            return Change(
                orderNumber: try row.string("order_number"), base: try row.string("base"), kind: try row.string("kind"),
                number: try row.optionalString("number"), day: try row.optionalString("day"),
                words: try row.string("words"), by: author.name, byAt: author.at, byUnknown: author.unknown,
                at: try row.time("at"), exchangeId: try row.id("exchange_id"))
        }
    }

    /// - Parameter since: the exchange in which the state before was told.
    static func keep(
        _ changes: [DocumentChange], order number: String, _ base: String, _ exchange: ID, since: ID?,
        in transaction: EventTransaction
    ) {
        for change in changes {
            transaction.write(
                """
                INSERT INTO told_change (id, order_number, base, kind, onec_id, number, day, words, is_late, exchange_id, since)
                VALUES ($1, $2, $3, $4, $5, $6, $7::date, $8,
                    coalesce($7::date < (now() AT TIME ZONE 'UTC')::date - \(DocumentChange.lateDays), false), $9,
                    (SELECT at FROM exchange WHERE id = $10))
                """,
                [
                    .id(.make()), .text(number), .text(base), .text(change.kind), .text(change.onecId),
                    .text(change.number), .text(change.day), .text(change.words), .id(exchange), .id(since),
                ])
        }
    }

    // MARK: who made them

    /// Changes that the author is asked of in one round, and days after which nobody is asked any more.
    private static let roundLimit = 50
    private static let patienceDays = 7
    /// Characters of a reason that are kept.
    private static let reasonLimit = 500

    /// Asks the base who made the changes that it has told.
    func nameAuthors(_ base: String, _ driver: any AccountingDriver, _ wire: ExchangeWire) async throws {
        guard driver.tellsAuthors else { return }
        let changes = try await pool.query(
            """
            SELECT id, kind, onec_id, coalesce(since, at) AS since, at FROM told_change
            WHERE base = $1 AND by_whom IS NULL AND by_whom_unknown IS NULL AND at > now() - interval '\(Self.patienceDays) days'
            ORDER BY at LIMIT \(Self.roundLimit)
            """, [.text(base)]
        ).map { row in
            ToldChange(
                id: try row.id("id"), kind: try row.string("kind"), onecId: try row.string("onec_id"),
                since: try row.time("since"), until: try row.time("at"))
        }
        guard !changes.isEmpty else { return }
        let found = try await driver.findAuthors(of: changes, wire)
        guard !found.isEmpty else { return }
        try await pool.run(
            found.map { author in
                var (name, at, unknown): (String?, String?, String?) = (nil, nil, nil)
                switch author.finding {
                case .found(let who, let when): (name, at) = (who, when)
                // It may hold what 1C has said.
                case .unknown(let why): unknown = String(why.withoutNUL.prefix(Self.reasonLimit))
                }
                return Statement(
                    "UPDATE told_change SET by_whom = $2, by_whom_at = $3, by_whom_unknown = $4 WHERE id = $1",
                    [.id(author.change), .text(name), .text(at), .text(unknown)])
            })
    }
}
