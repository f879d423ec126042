import Contracts
import Postgres
import Primitives

/// A good as a system calls it now.
struct ToldGood: Sendable, Equatable, Encodable {
    let id, name: String
    let sku: String?
    let isDeleted: Bool

    /// Characters of a name and of an article that are kept.
    static let textLimit = 1000

    /// Nil when it has no id or no name, or an id that is too long to be one.
    init?(id: String?, name: String?, sku: String?, isDeleted: Bool) {
        guard let id = id?.withoutNUL.trimmed.nonEmpty, id.count <= ClientCard.idLimit,
            let name = name?.withoutNUL.trimmed.nonEmpty
        else { return nil }
        (self.id, self.name) = (id, String(name.prefix(Self.textLimit)))
        self.sku = sku?.withoutNUL.trimmed.nonEmpty.map { String($0.prefix(Self.textLimit)) }
        self.isDeleted = isDeleted
    }

    init(_ good: CatalogGood) {
        (id, name, sku, isDeleted) = (good.id, good.name, good.sku, good.isDeleted)
    }
}

/// Some of a system's goods.
struct ToldGoods: Sendable {
    let goods: [ToldGood]
    /// Before they were asked for: whatever another way has told since is newer.
    let asOf: Timestamp
    /// Where the next page begins; nil at the end.
    let next: String?
    let exchange: ID
}

/// Copies of the goods of systems that are asked for them, and what goods were called before: a system tells only what they are now (ONEC-15).
struct GoodCopies: Sendable {
    let pool: PostgresPool
    let base: String

    private static let goodsAtOnce = 1000

    /// What a system tells of goods beyond this, such as prices and stock, stays as it was told another way.
    ///
    /// - Returns: how many changes of goods that were known it has told.
    @discardableResult
    func learn(_ goods: [ToldGood], asOf: Timestamp) async throws -> Int {
        var changes = 0
        for part in goods.parts(of: Self.goodsAtOnce) {
            let byId = Dictionary(part.map { ($0.id, $0) }) { $1 }
            // In one order, whoever else writes them.
            let some = byId.values.sorted { $0.id < $1.id }
            let lock = Statement(
                "SELECT 1 AS one FROM good WHERE base = $1 AND id = ANY($2::text[]) ORDER BY id FOR UPDATE",
                [.text(base), .texts(some.map(\.id))])
            let statements = [lock, try Self.changes(some, base, asOf), try copies(some, asOf)]
            changes += try await pool.transaction { Int(try await $0.run(statements)[1].affected) }
        }
        return changes
    }

    private func copies(_ goods: [ToldGood], _ asOf: Timestamp) throws -> Statement {
        Statement(
            """
            INSERT INTO good (base, id, name, sku, groups, properties, is_deleted, as_of)
            SELECT $1, g.id, g.name, g.sku, '{}', '{}', g."isDeleted", $3
            FROM jsonb_to_recordset($2::jsonb) AS g (id text, name text, sku text, "isDeleted" boolean)
            ON CONFLICT (base, id) DO UPDATE SET name = excluded.name, sku = excluded.sku,
                is_deleted = excluded.is_deleted, as_of = excluded.as_of
            WHERE good.as_of <= excluded.as_of
            """, [.text(base), .text(try JSON.text(goods)), .time(asOf)])
    }

    /// Keeps what goods were called, before they are written.
    static func changes(_ goods: [ToldGood], _ base: String, _ asOf: Timestamp) throws -> Statement {
        Statement(
            """
            INSERT INTO good_change (base, good_id, field, old_value, new_value, since, at)
            SELECT $1, g.id, f.field, f.old, f.new, o.as_of, $3
            FROM jsonb_to_recordset($2::jsonb) AS g (id text, name text, sku text, "isDeleted" boolean)
            JOIN good o ON o.base = $1 AND o.id = g.id AND o.as_of <= $3
            CROSS JOIN LATERAL (VALUES ('name', o.name, g.name), ('sku', o.sku, g.sku),
                ('deleted', o.is_deleted::text, g."isDeleted"::text)) AS f (field, old, new)
            WHERE f.old IS DISTINCT FROM f.new
            """, [.text(base), .text(try JSON.text(goods)), .time(asOf)])
    }
}
