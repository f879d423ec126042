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
    let log: Logger

    /// Orders that are taken and told at a time; between them nothing has to be held.
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
            // Not acknowledged: it comes again, whole perhaps.
            try await keep(bytes, key: "answer:\(digest(bytes))", reason: refusal.reason)
            throw ShopSession.Failure(description: refusal.reason)
        }
        guard !documents.isEmpty else { return 0 }
        // On disk as it came, before anything of it is understood.
        try await keep(bytes, key: "answer:\(digest(bytes))", reason: nil)
        var fresh = 0
        for document in documents {
            let xml = Array(document.xml.utf8)
            let digest = digest(xml)
            do {
                let order = try ShopOrder(document, digest: digest)
                let accepted = try await messages.take(fetched: try order.body(channel: shop.name), xml)
                if !accepted.duplicate { fresh += 1 }
            } catch let refusal as XMLRefusal {
                try await keep(xml, key: "document:\(digest)", reason: refusal.reason)
            } catch let problem as Problem {
                try await keep(xml, key: "document:\(digest)", reason: problem.detail ?? problem.title)
            }
        }
        try await session.confirm()
        return fresh
    }

    private static func documents(_ bytes: [UInt8]) throws -> [XMLElement] {
        let handler = CommerceMLReader()
        let reader = XMLReader(handler)
        var rest = bytes[...]
        while !rest.isEmpty {
            try reader.feed(Array(rest.prefix(1 << 20)))
            rest = rest.dropFirst(1 << 20)
        }
        try reader.finish()
        return handler.documents
    }

    private func digest(_ bytes: [UInt8]) -> String { String(base64URL(sha256(bytes)).prefix(16)) }

    /// - Parameter reason: why it could not be understood; nil for what is kept to be looked at alone.
    private func keep(_ bytes: [UInt8], key: String, reason: String?) async throws {
        try await bus.pool.query(
            """
            INSERT INTO incoming (connection, dedupe_key, state, reason, body) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT ON CONSTRAINT incoming_once DO NOTHING
            """, [.text(shop.name), .text(key), .text(reason == nil ? "kept" : "parked"), .text(reason), .bytes(bytes)])
    }

    private func note(failure: String?, orders: Int) async throws {
        try await bus.pool.query(
            """
            INSERT INTO shop_state AS s (shop, tried_at, succeeded_at, failure, failures, orders)
            VALUES ($1, now(), CASE WHEN $2::text IS NULL THEN now() END, $2, CASE WHEN $2::text IS NULL THEN 0 ELSE 1 END, $3)
            ON CONFLICT (shop) DO UPDATE SET tried_at = now(), succeeded_at = coalesce(excluded.succeeded_at, s.succeeded_at),
                failure = excluded.failure, orders = s.orders + excluded.orders,
                failures = CASE WHEN excluded.failure IS NULL THEN 0 ELSE s.failures + 1 END
            """, [.text(shop.name), .text(failure), .int(Int64(orders))])
    }
}
