import Contracts
import Hummingbird
import Postgres
import Primitives
import ServiceKit

/// Goods as 1C's catalogs tell them, with prices and stock: shown, owned by 1C.
struct GoodsAPI: Sendable {
    let pool: PostgresPool

    struct Price: AnswerShape {
        let type, amount: String
        let currency, unit: String?
    }
    struct Stock: AnswerShape {
        /// Nil: all warehouses together.
        let warehouse: String?
        let quantity: String
    }
    struct Offer: AnswerShape {
        let id: String
        let name, sku, barcode: String?
        let characteristics: [String: String]
        let prices: [Price]
        let stock: [Stock]
    }
    /// Changes of a good that are shown.
    private static let changeLimit = 20

    struct Good: AnswerShape {
        let base, id, name: String
        let sku, barcode, unit, description: String?
        let groups: [String]
        let properties: [String: String]
        let deleted: Bool
        let offers: [Offer]
        let changes: [GoodChanges.Change]
        let asOf: Timestamp
    }

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/api/v1/goods") { request, context in
            try context.requireReader()
            let limit = try request.limit()
            let items = try await list(
                base: request.query("base"), text: request.query("q"), after: request.query("after"), limit: limit + 1)
            return try Response.json(
                Page(
                    items: Array(items.prefix(limit)),
                    next: items.count > limit ? "\(items[limit - 1].base) \(items[limit - 1].id)" : nil))
        }
    }

    /// Goods by base and id; `text` is sought in the name, and as the beginning of an article or a barcode.
    func list(base: String?, text: String?, after: String?, limit: Int) async throws -> [Good] {
        let cursor = after.flatMap { mark in
            mark.firstIndex(of: " ").map { (mark[..<$0], mark[mark.index(after: $0)...]) }
        }
        let rows = try await pool.query(
            """
            SELECT g.base, g.id, g.name, g.sku, g.barcode, g.unit, g.description, g.properties::text AS properties,
                g.is_deleted, g.as_of,
                (SELECT coalesce(jsonb_agg(coalesce(c.name, u.id) ORDER BY u.place), '[]')
                    FROM unnest(g.groups) WITH ORDINALITY AS u (id, place)
                    LEFT JOIN catalog_group c ON c.base = g.base AND c.id = u.id)::text AS groups
            FROM good g
            WHERE ($1::text IS NULL OR g.base = $1) AND ($2::text IS NULL OR (g.base, g.id) > ($2, $3))
                AND ($4::text IS NULL OR g.name ILIKE '%' || $4 || '%' OR lower(g.sku) LIKE lower($4) || '%'
                    OR g.barcode LIKE $4 || '%')
            ORDER BY g.base, g.id LIMIT $5
            """,
            [
                .text(base), .text(cursor.map { String($0.0) }), .text(cursor.map { String($0.1) }),
                .text(text.flatMap { $0.isEmpty ? nil : Self.literal($0) }), .int(limit),
            ])
        let offers = try await offers(of: rows)
        let changes = try await GoodChanges(pool: pool).newest(
            of: try rows.map { (try $0.string("base"), try $0.string("id")) }, limit: Self.changeLimit)
        return try rows.map { row in
            let key = "\(try row.string("base")) \(try row.string("id"))"
            return Good(
                base: try row.string("base"), id: try row.string("id"), name: try row.string("name"),
                sku: try row.optionalString("sku"), barcode: try row.optionalString("barcode"),
                unit: try row.optionalString("unit"), description: try row.optionalString("description"),
                groups: try JSON.decode([String].self, from: try row.string("groups").utf8),
                properties: try JSON.decode([String: String].self, from: try row.string("properties").utf8),
                deleted: try row.bool("is_deleted"), offers: offers[key] ?? [],
                changes: changes[key] ?? [],
                asOf: try row.time("as_of"))
        }
    }

    /// `%` and `_` mean themselves.
    private static func literal(_ text: String) -> String {
        String(text.withoutNUL.flatMap { "\\%_".contains($0) ? ["\\", $0] : [$0] })
    }

    /// Offers of the goods, by base and good, with their prices and stock, in one statement.
    private func offers(of goods: Rows) async throws -> [String: [Offer]] {
        let rows = try await pool.query(
            """
            SELECT o.base, o.good_id, o.id, o.name, o.sku, o.barcode, o.characteristics::text AS characteristics,
                (SELECT coalesce(jsonb_agg(jsonb_build_array(coalesce(t.name, p.price_type), p.amount::text,
                        coalesce(p.currency, t.currency), p.unit) ORDER BY t.name, p.price_type), '[]')
                    FROM offer_price p LEFT JOIN price_type t ON t.base = p.base AND t.id = p.price_type
                    WHERE p.base = o.base AND p.offer_id = o.id)::text AS prices,
                (SELECT coalesce(jsonb_agg(jsonb_build_array(coalesce(w.name, nullif(s.warehouse, '')), s.quantity::text)
                        ORDER BY s.warehouse), '[]')
                    FROM offer_stock s LEFT JOIN warehouse w ON w.base = s.base AND w.id = s.warehouse
                    WHERE s.base = o.base AND s.offer_id = o.id)::text AS stock
            FROM offer o JOIN unnest($1::text[], $2::text[]) AS g (base, id) ON o.base = g.base AND o.good_id = g.id
            ORDER BY o.base, o.id
            """,
            [.texts(try goods.map { try $0.string("base") }), .texts(try goods.map { try $0.string("id") })])
        var offers: [String: [Offer]] = [:]
        for row in rows {
            let prices = try JSON.decode([[String?]].self, from: try row.string("prices").utf8)
            let stock = try JSON.decode([[String?]].self, from: try row.string("stock").utf8)
            offers["\(try row.string("base")) \(try row.string("good_id"))", default: []].append(
                Offer(
                    id: try row.string("id"), name: try row.optionalString("name"),
                    sku: try row.optionalString("sku"), barcode: try row.optionalString("barcode"),
                    characteristics: try JSON.decode(
                        [String: String].self, from: try row.string("characteristics").utf8),
                    prices: prices.map {
                        Price(type: $0[0] ?? "", amount: Self.plain($0[1]), currency: $0[2], unit: $0[3])
                    }, stock: stock.map { Stock(warehouse: $0[0], quantity: Self.plain($0[1])) }))
        }
        return offers
    }

    /// `100.0000` → `100`.
    private static func plain(_ text: String?) -> String { text.flatMap { Quantity($0) }?.description ?? "" }
}
