import CommerceML
import Contracts
import Curl
import Logging
import Messaging
import Postgres
import Primitives
import ServiceKit
import Sodium
import XMLStream

/// Fetches the orders of one internet shop, as 1C would, and makes each what a client said (CON-05).
struct ShopPoller: Sendable {
    let shop: SuiteSettings.Shop
    let bus: EventBus
    let messages: MessagesAPI
    let http: HTTPClient
    let ledger: ConnectorLedger
    let log: Logger

    /// Runs until cancelled. A shop that fails is said to fail, and asked again at its next turn.
    func run() async throws {
        while !Task.isCancelled {
            if bus.missing == nil {
                do {
                    let count = try await fetch()
                    try await note(failure: nil, orders: count)
                    if count > 0 {
                        log.info("orders of a shop", metadata: ["shop": "\(shop.name)", "orders": "\(count)"])
                    }
                } catch let failure as ShopSession.Failure {
                    log.warning("a shop's orders wait", metadata: ["shop": "\(shop.name)", "reason": "\(failure)"])
                    try await note(failure: failure.description, orders: 0)
                }
            }
            try await Task.sleep(for: .seconds(shop.pollSeconds))
        }
    }

    /// - Returns: orders that are new or have changed.
    private func fetch() async throws -> Int {
        var session = ShopSession(shop, http)
        guard let bytes = try await session.query() else { return 0 }
        let documents: [XMLElement]
        do { documents = try Self.documents(bytes) } catch let refusal as XMLRefusal {
            // Not acknowledged: it comes again, whole perhaps. Once for each reason, for it may come each time with another date.
            try await keep(bytes, key: "answer:\(refusal.reason.prefix(150))", reason: refusal.reason)
            throw ShopSession.Failure(description: refusal.reason)
        }
        guard !documents.isEmpty else { return 0 }
        // Of an order that stands in the answer twice the last word holds.
        let newest = Dictionary(
            documents.enumerated().compactMap { index, document in ShopOrder.number(of: document).map { ($0, index) } }
        ) { max($0, $1) }
        var (fresh, isKept) = (0, false)
        for (index, document) in documents.enumerated() {
            if let number = ShopOrder.number(of: document), newest[number] != index { continue }
            // One at a time: an answer may be as large as the memory that we want to live in.
            let xml = Array(document.xml.utf8)
            let digest = self.digest(xml)
            // On disk as it came, before anything new in it is taken.
            func keepAnswer() async throws {
                if !isKept { try await keep(bytes, key: "answer:\(self.digest(bytes))", reason: nil) }
                isKept = true
            }
            do {
                let order = try ShopOrder(document, digest: digest)
                let known = try await talk(order.conversation)
                if known.last?.hasPrefix("\(digest)#") == true { continue }
                try await keepAnswer()
                _ = try await messages.take(fetched: try order.body(channel: shop.name, place: known.count), xml)
                fresh += 1
            } catch let refusal as XMLRefusal {
                try await keep(xml, key: "document:\(digest)", reason: refusal.reason)
            } catch let problem as Problem {
                try await keep(xml, key: "document:\(digest)", reason: problem.detail ?? problem.title)
            } catch let error as DecodingError {
                try await keep(xml, key: "document:\(digest)", reason: "заказ не читается: \(error.place)")
            }
        }
        try await session.confirm()
        return fresh
    }

    /// What a talk holds: how many messages, and the last one's name.
    private func talk(_ name: String) async throws -> (count: Int64, last: String?) {
        let row = try await bus.pool.query(
            """
            SELECT count(*) AS count, (array_agg(m.external_id ORDER BY m.id DESC)
                FILTER (WHERE m.direction = 'in'))[1] AS last
            FROM conversation c JOIN message m ON m.conversation_id = c.id
            WHERE c.connection = $1 AND c.external_id = $2
            """, [.text(shop.name), .text(name)])[0]
        return (try row.int("count"), try row.optionalString("last"))
    }

    private static func documents(_ bytes: [UInt8]) throws -> [XMLElement] {
        let handler = CommerceMLReader()
        try XMLReader(handler).read(bytes)
        // Nothing of the answer is acknowledged: the shop's operator must see it.
        if let reason = handler.refused.first { throw XMLRefusal(reason: reason, isIncomplete: false) }
        return handler.documents
    }

    private func digest(_ bytes: [UInt8]) -> String { String(base64URL(sha256(bytes)).prefix(16)) }

    /// - Parameter reason: why it could not be understood; nil for what is kept to be looked at alone.
    private func keep(_ bytes: [UInt8], key: String, reason: String?) async throws {
        try await bus.pool.query(
            """
            INSERT INTO incoming (connection, dedupe_key, state, reason, body) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT ON CONSTRAINT incoming_once DO NOTHING
            """,
            [
                .text(shop.name), .text(key.withoutNUL), .text(reason == nil ? "kept" : "parked"),
                .text(reason?.withoutNUL), .bytes(bytes),
            ])
    }

    private func note(failure: String?, orders: Int) async throws {
        ledger.note(.init("shop", shop.name, "in"), trouble: failure)
        try await bus.pool.query(
            """
            INSERT INTO shop_state AS s (shop, tried_at, succeeded_at, failure, failures, orders)
            VALUES ($1, now(), CASE WHEN $2::text IS NULL THEN now() END, $2, CASE WHEN $2::text IS NULL THEN 0 ELSE 1 END, $3)
            ON CONFLICT (shop) DO UPDATE SET tried_at = now(), succeeded_at = coalesce(excluded.succeeded_at, s.succeeded_at),
                failure = excluded.failure, orders = s.orders + excluded.orders,
                failures = CASE WHEN excluded.failure IS NULL THEN 0 ELSE s.failures + 1 END
            """, [.text(shop.name), .text(failure?.withoutNUL), .int(Int64(orders))])
    }
}
