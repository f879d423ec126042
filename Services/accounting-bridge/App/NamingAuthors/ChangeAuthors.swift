import Messaging
import Postgres
import Primitives

/// Asks systems who made the changes that they have told of (ONEC-15).
struct ChangeAuthors: Sendable {
    let pool: PostgresPool

    /// Of both tables that keep changes.
    static let columns = "by_whom, by_whom_at, by_whom_unknown"
    private static let unasked = "by_whom IS NULL AND by_whom_unknown IS NULL"

    /// Changes that are asked of in one round, and days after which nobody is asked any more.
    private static let roundLimit = 50
    private static let patienceDays = 7
    /// Characters of a reason that are kept.
    private static let reasonLimit = 500

    func ask(_ base: String, _ driver: any AccountingDriver, _ wire: ExchangeWire) async throws {
        guard driver.tellsAuthors else { return }
        let places = [("told_change", "kind", "onec_id"), ("good_change", "'\(ToldChange.good)'", "good_id")]
        try await pool.run(
            places.map { table, _, _ in
                Statement(
                    """
                    UPDATE \(table) SET by_whom_unknown = $2
                    WHERE base = $1 AND \(Self.unasked) AND at <= now() - interval '\(Self.patienceDays) days'
                    """, [.text(base), .text("за \(Self.patienceDays) дней узнать это у 1С не удалось")])
            })
        let rows = try await pool.query(
            places.map { table, kind, key in
                """
                SELECT id, '\(table)' AS place, \(kind) AS kind, \(key) AS onec_id, coalesce(since, at) AS since, at
                FROM \(table) WHERE base = $1 AND \(Self.unasked) AND at > now() - interval '\(Self.patienceDays) days'
                """
            }.joined(separator: " UNION ALL ") + " ORDER BY at LIMIT \(Self.roundLimit)", [.text(base)])
        guard !rows.isEmpty else { return }
        var tables: [ID: String] = [:]
        let changes = try rows.map { row in
            let id = try row.id("id")
            tables[id] = try row.string("place")
            return ToldChange(
                id: id, kind: try row.string("kind"), onecId: try row.string("onec_id"),
                since: try row.time("since"), until: try row.time("at"))
        }
        let found = try await driver.findAuthors(of: changes, wire)
        guard !found.isEmpty else { return }
        try await pool.run(
            found.compactMap { author in
                tables[author.change].map { table in
                    var (name, at, unknown): (String?, String?, String?) = (nil, nil, nil)
                    switch author.finding {
                    case .found(let who, let when): (name, at) = (who, when)
                    // It may hold what 1C has said.
                    case .unknown(let why): unknown = String(why.withoutNUL.prefix(Self.reasonLimit))
                    }
                    return Statement(
                        "UPDATE \(table) SET by_whom = $2, by_whom_at = $3, by_whom_unknown = $4 WHERE id = $1",
                        [.id(author.change), .text(name), .text(at), .text(unknown)])
                }
            })
    }
}
