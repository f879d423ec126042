import Contracts
import Postgres
import Primitives

/// Writes what a catalog tells: many records a statement, each the newest word of 1C's on its id.
struct CatalogStore: Sendable {
    let pool: PostgresPool
    let base: String

    struct Counts: Sendable {
        var groups = 0
        var goods = 0
        var offers = 0
        var prices = 0
        var stocks = 0

        mutating func add(_ record: CatalogRecord) {
            switch record {
            case .group: groups += 1
            case .good: goods += 1
            case .offer(let offer):
                offers += 1
                prices += offer.prices.count
                stocks += offer.stocks.count
            case .property, .priceType, .warehouse: break
            }
        }

        var total: Int { groups + goods + offers }

        /// As the journal says it.
        var words: [String] {
            let parts = [
                (groups, "групп"), (goods, "товаров"), (offers, "предложений"), (prices, "цен"), (stocks, "остатков"),
            ]
            return parts.filter { $0.0 > 0 }.map { "\($0.1): \($0.0)" }
        }
    }

    private struct Named: Encodable {
        let id, name: String
        var parent: String?
        var currency: String?
    }
    private struct PriceRow: Encodable {
        let offer, type, amount: String
        let currency, unit: String?
    }
    private struct StockRow: Encodable {
        let offer, warehouse, quantity: String
    }

    /// - Parameter replacesAll: the file tells everything of each offer: prices and stocks that it does not name are gone.
    func write(_ records: [CatalogRecord], replacesAll: Bool, at: Timestamp) async throws {
        var (groups, properties, types, warehouses) = ([Named](), [Named](), [Named](), [Named]())
        var (goods, offers) = ([CatalogGood](), [CatalogOffer]())
        for record in records {
            switch record {
            case .group(let id, let parent, let name): groups.append(Named(id: id, name: name, parent: parent))
            case .property(let id, let name): properties.append(Named(id: id, name: name))
            case .priceType(let id, let name, let currency):
                types.append(Named(id: id, name: name, currency: currency?.code))
            case .warehouse(let id, let name): warehouses.append(Named(id: id, name: name))
            case .good(let good): goods.append(good)
            case .offer(let offer): offers.append(offer)
            }
        }
        var statements: [Statement] = []
        func add(_ table: String, _ rows: [Named], _ more: String? = nil) throws {
            if !rows.isEmpty { statements.append(try named(table, Self.lastOfEach(rows, \.id), more, at)) }
        }
        try add("catalog_group", groups, "parent")
        try add("catalog_property", properties)
        try add("price_type", types, "currency")
        try add("warehouse", warehouses)
        if !goods.isEmpty {
            let last = Self.lastOfEach(goods, \.id)
            statements += [try GoodCopies.changes(last.map(ToldGood.init), base, at), try self.goods(last, at)]
        }
        if !offers.isEmpty {
            statements += try self.offers(Self.lastOfEach(offers, \.id), replacesAll: replacesAll, at)
        }
        guard !statements.isEmpty else { return }
        let all = statements
        _ = try await pool.transaction { try await $0.run(all) }
    }

    /// One statement must not touch a row twice: the last word on an id stands.
    private static func lastOfEach<Value>(_ values: [Value], _ key: (Value) -> String) -> [Value] {
        var places: [String: Int] = [:]
        var kept: [Value] = []
        for value in values {
            if let place = places[key(value)] {
                kept[place] = value
            } else {
                places[key(value)] = kept.count
                kept.append(value)
            }
        }
        return kept
    }

    private func named(_ table: String, _ rows: [Named], _ more: String?, _ at: Timestamp) throws -> Statement {
        let column = more.map { ", \($0)" } ?? ""
        let set = more.map { ", \($0) = excluded.\($0)" } ?? ""
        return Statement(
            """
            INSERT INTO \(table) (base, id, name, as_of\(column))
            SELECT $1, r.id, r.name, $3\(column)
            FROM jsonb_to_recordset($2::jsonb) AS r (id text, name text, parent text, currency text)
            ON CONFLICT (base, id) DO UPDATE SET name = excluded.name, as_of = excluded.as_of\(set)
            WHERE \(table).as_of <= excluded.as_of
            """, [.text(base), .text(try JSON.text(rows)), .time(at)])
    }

    private func goods(_ goods: [CatalogGood], _ at: Timestamp) throws -> Statement {
        Statement(
            """
            INSERT INTO good (base, id, name, sku, barcode, unit, description, groups, properties, is_deleted, as_of)
            SELECT $1, g.id, g.name, g.sku, g.barcode, g.unit, g.description,
                ARRAY(SELECT jsonb_array_elements_text(g.groups)), g.properties, g."isDeleted", $3
            FROM jsonb_to_recordset($2::jsonb) AS g (id text, name text, sku text, barcode text, unit text,
                description text, groups jsonb, properties jsonb, "isDeleted" boolean)
            ON CONFLICT (base, id) DO UPDATE SET name = excluded.name, sku = excluded.sku, barcode = excluded.barcode,
                unit = excluded.unit, description = excluded.description, groups = excluded.groups,
                properties = excluded.properties, is_deleted = excluded.is_deleted, as_of = excluded.as_of
            WHERE good.as_of <= excluded.as_of
            """, [.text(base), .text(try JSON.text(goods)), .time(at)])
    }

    private func offers(_ offers: [CatalogOffer], replacesAll: Bool, _ at: Timestamp) throws -> [Statement] {
        struct Head: Encodable {
            let id, good: String
            let name, sku, barcode: String?
            let characteristics: [String: String]
        }
        let heads = offers.map {
            Head(
                id: $0.id, good: $0.goodID, name: $0.name, sku: $0.sku, barcode: $0.barcode,
                characteristics: $0.characteristics)
        }
        let prices = offers.flatMap { offer in
            Self.lastOfEach(offer.prices, \.type).map {
                PriceRow(
                    offer: offer.id, type: $0.type, amount: $0.amount.description, currency: $0.currency?.code,
                    unit: $0.unit)
            }
        }
        let stocks = offers.flatMap { offer in
            Self.lastOfEach(offer.stocks) { $0.warehouse ?? "" }.map {
                StockRow(offer: offer.id, warehouse: $0.warehouse ?? "", quantity: $0.quantity.description)
            }
        }
        // A file of prices alone, or of stocks alone, says nothing of the rest of an offer (reference 28).
        var statements = [
            Statement(
                """
                INSERT INTO offer AS o (base, id, good_id, name, sku, barcode, characteristics, as_of)
                SELECT $1, r.id, r.good, r.name, r.sku, r.barcode, r.characteristics, $3
                FROM jsonb_to_recordset($2::jsonb) AS r (id text, good text, name text, sku text, barcode text,
                    characteristics jsonb)
                ON CONFLICT (base, id) DO UPDATE SET name = coalesce(excluded.name, o.name),
                    sku = coalesce(excluded.sku, o.sku), barcode = coalesce(excluded.barcode, o.barcode),
                    characteristics = CASE WHEN excluded.characteristics = '{}' THEN o.characteristics
                        ELSE excluded.characteristics END, as_of = excluded.as_of
                WHERE o.as_of <= excluded.as_of
                """, [.text(base), .text(try JSON.text(heads)), .time(at)])
        ]
        if replacesAll {
            for (table, ids) in [
                ("offer_price", Set(prices.map(\.offer))), ("offer_stock", Set(stocks.map(\.offer))),
            ] where !ids.isEmpty {
                statements.append(
                    Statement(
                        "DELETE FROM \(table) WHERE base = $1 AND offer_id = ANY($2::text[]) AND as_of <= $3",
                        [.text(base), .texts(Array(ids)), .time(at)]))
            }
        }
        statements.append(
            Statement(
                """
                INSERT INTO offer_price (base, offer_id, price_type, amount, currency, unit, as_of)
                SELECT $1, r.offer, r.type, r.amount::numeric, r.currency, r.unit, $3
                FROM jsonb_to_recordset($2::jsonb) AS r (offer text, type text, amount text, currency text, unit text)
                ON CONFLICT (base, offer_id, price_type) DO UPDATE SET amount = excluded.amount,
                    currency = excluded.currency, unit = excluded.unit, as_of = excluded.as_of
                WHERE offer_price.as_of <= excluded.as_of
                """, [.text(base), .text(try JSON.text(prices)), .time(at)]))
        statements.append(
            Statement(
                """
                INSERT INTO offer_stock (base, offer_id, warehouse, quantity, as_of)
                SELECT $1, r.offer, r.warehouse, r.quantity::numeric, $3
                FROM jsonb_to_recordset($2::jsonb) AS r (offer text, warehouse text, quantity text)
                ON CONFLICT (base, offer_id, warehouse) DO UPDATE SET quantity = excluded.quantity, as_of = excluded.as_of
                WHERE offer_stock.as_of <= excluded.as_of
                """, [.text(base), .text(try JSON.text(stocks)), .time(at)]))
        return statements
    }
}
