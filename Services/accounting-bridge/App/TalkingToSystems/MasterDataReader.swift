import Messaging
import Postgres
import Primitives

/// Reads all cards of clients and then all goods of a system, page by page, and again after a while: what was read is kept, so that it goes on where
/// it was cut off.
struct MasterDataReader: Sendable {
    let line: SystemLine

    private var base: String { line.base.base }

    /// A catalog of the system's, and where in `base_state` it stands how far it was read.
    private enum Catalog {
        case clients, goods

        var place: String { self == .clients ? "clients_place" : "goods_place" }
        var readAt: String { self == .clients ? "clients_read_at" : "goods_read_at" }
        /// Seconds after which all of it is read anew: nothing may have told of a change. Goods are many.
        var pause: Double { self == .clients ? 6 * 3600 : 24 * 3600 }
    }

    /// Seconds of rest at most, and after an answer that there is nothing to be read.
    private static let longestRest = 60.0
    private static let rest = 3600.0
    /// Seconds between two pages of goods: orders need the line more.
    private static let goodsPause = 0.5

    func run() async throws {
        try await line.loop("reading clients and goods", .catalogs, wakenBy: line.catalogs) { try await round() }
    }

    private func round() async throws -> Double {
        if case .wait(let seconds) = line.mayTalk(.catalogs) { return seconds }
        let clients = try await readClients()
        // Before the first order all clients are known.
        return clients == 0 ? 0 : min(clients, try await readGoods())
    }

    private func readClients() async throws -> Double {
        let (place, rest) = try await due(.clients)
        if let rest { return rest }
        guard let page = try await line.driver.cards(from: place, line.wire) else { return Self.rest }
        try await line.bus.transaction { transaction in
            try await line.answered(.catalogs, [], in: transaction)
            var news = 0
            for card in page.cards {
                if try await ClientCards.learn(card, base, page.exchange, in: transaction) { news += 1 }
            }
            transaction.write([read(.clients, to: page.next)])
            if news > 0 {
                let words = "карточек прочитано \(page.cards.count), нового в \(news)"
                transaction.write([ExchangeJournal.understood(words, page.exchange)])
            }
        }
        return page.next == nil ? Self.longestRest : 0
    }

    private func readGoods() async throws -> Double {
        let (place, rest) = try await due(.goods)
        if let rest { return rest }
        guard let page = try await line.driver.goods(from: place, line.wire) else { return Self.rest }
        let changes = try await GoodCopies(pool: line.bus.pool, base: base).learn(page.goods, asOf: page.asOf)
        try await line.bus.transaction { transaction in
            try await line.answered(.catalogs, [], in: transaction)
            transaction.write([read(.goods, to: page.next)])
            if changes > 0 {
                let words = "товаров прочитано \(page.goods.count), изменений \(changes)"
                transaction.write([ExchangeJournal.understood(words, page.exchange)])
            }
        }
        return page.next == nil ? Self.longestRest : Self.goodsPause
    }

    /// - Returns: where the next page begins, or for how long it is not its turn.
    private func due(_ catalog: Catalog) async throws -> (place: String?, rest: Double?) {
        let state = try await line.bus.pool.query(
            """
            SELECT \(catalog.place) AS place, extract(epoch FROM now() - \(catalog.readAt)) AS age
            FROM base_state WHERE base = $1
            """, [.text(base)]
        ).first
        let place = try state?.optionalString("place")
        let age = try state?.optionalDouble("age") ?? catalog.pause
        return (place, place == nil && age < catalog.pause ? min(Self.longestRest, catalog.pause - age) : nil)
    }

    private func read(_ catalog: Catalog, to next: String?) -> Statement {
        Statement(
            """
            INSERT INTO base_state (base, \(catalog.place), \(catalog.readAt)) VALUES ($1, $2, $3)
            ON CONFLICT (base) DO UPDATE SET \(catalog.place) = excluded.\(catalog.place),
                \(catalog.readAt) = coalesce(excluded.\(catalog.readAt), base_state.\(catalog.readAt))
            """, [.text(base), .text(next), .time(next == nil ? .now() : nil)])
    }
}
