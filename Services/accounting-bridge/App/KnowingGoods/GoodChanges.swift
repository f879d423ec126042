import Hummingbird
import Postgres
import Primitives
import ServiceKit

/// What goods were called before, and who renamed them, where the base tells that (ONEC-15).
struct GoodChanges: Sendable {
    let pool: PostgresPool

    struct Change: AnswerShape {
        let base, goodId: String
        /// What it is called now.
        let name: String
        /// `name`, `sku`, `deleted`.
        let field: String
        let old, new: String?
        /// Who wrote it in 1C, and when by 1C's own clock.
        let by, byAt: String?
        /// Why that is not known, in words.
        let byUnknown: String?
        /// When we heard of it.
        let at: Timestamp
    }

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/api/v1/good-changes") { request, context in
            try context.requireReader()
            return try Response.json(Page(items: try await newest(limit: try request.limit()), next: nil))
        }
    }

    func newest(limit: Int) async throws -> [Change] {
        try await pool.query(
            """
            SELECT \(Self.columns) FROM good_change h JOIN good g ON g.base = h.base AND g.id = h.good_id
            ORDER BY h.at DESC, h.id DESC LIMIT $1
            """, [.int(limit)]
        ).map(Self.change)
    }

    /// The newest of each of these goods, by base and id.
    ///
    /// - Parameter limit: of one good.
    func newest(of goods: [(base: String, id: String)], limit: Int) async throws -> [String: [Change]] {
        let changes = try await pool.query(
            """
            SELECT \(Self.columns) FROM unnest($1::text[], $2::text[]) AS u (base, id)
            JOIN good g ON g.base = u.base AND g.id = u.id
            CROSS JOIN LATERAL (SELECT * FROM good_change c WHERE c.base = g.base AND c.good_id = g.id
                ORDER BY c.at DESC, c.id DESC LIMIT $3) AS h
            ORDER BY h.at DESC, h.id DESC
            """, [.texts(goods.map(\.base)), .texts(goods.map(\.id)), .int(limit)]
        ).map(Self.change)
        return Dictionary(grouping: changes) { "\($0.base) \($0.goodId)" }
    }

    private static let columns =
        "h.base, h.good_id, g.name, h.field, h.old_value, h.new_value, h.at, \(ChangeAuthors.columns)"

    private static func change(_ row: Row) throws -> Change {
        let author = try ChangeAuthor(row)
        return Change(
            base: try row.string("base"), goodId: try row.string("good_id"), name: try row.string("name"),
            field: try row.string("field"), old: try row.optionalString("old_value"),
            new: try row.optionalString("new_value"), by: author.name, byAt: author.at, byUnknown: author.unknown,
            at: try row.time("at"))
    }
}
