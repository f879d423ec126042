import Contracts
import FoundationEssentials
import Hummingbird
import HTTPTypes
import Messaging
import NIOCore
import Postgres
import Primitives
import ServiceKit
import Sodium

/// `GET /api/v1/events`: everything all services say, as CloudEvents. The cursor holds a position per stream, so no
/// event is skipped and none comes twice, although the streams have no order between them.
struct EventFeed: Sendable {
    let bus: EventBus

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/api/v1/events") { request, context in
            try context.require("integrator", "reader", "head")
            let limit = try request.limit()
            var positions: [String: Int64] = [:]
            if let text = request.query("after"), !text.isEmpty {
                guard let bytes = fromBase64URL(text),
                    let read = try? JSON.decode([String: Int64].self, from: bytes)
                else { throw Problem.badRequest("after is not a cursor of this feed") }
                positions = read
            }
            let (events, after) = try await page(positions, type: request.query("type"), limit)
            let next = base64URL(Array(try JSON.encode(after)))
            let body = "{\"items\":[" + events.joined(separator: ",") + "],\"next\":\"\(next)\"}"
            return Response.text(body, type: "application/json; charset=utf-8")
        }
    }

    /// The next events over all streams in order of time. `next` is always given: the feed has no end.
    private func page(_ positions: [String: Int64], type: String?, _ limit: Int) async throws
        -> ([String], [String: Int64])
    {
        var after = positions
        var found: [(at: Timestamp, stream: String, seq: Int64, body: [UInt8], fits: Bool)] = []
        for service in ServiceIdentity.allCases {
            let rows = try await bus.pool.query(
                """
                SELECT seq, type, at, body FROM inbox
                WHERE publisher = $1 AND stream = $1 AND lane = 'main' AND seq > $2
                ORDER BY seq LIMIT $3
                """, [.text(service.name), .int(positions[service.name] ?? 0), .int(limit)])
            for row in rows {
                let fits = try type == nil || row.string("type") == type
                found.append(
                    (
                        try row.time("at"), service.name, try row.int("seq"),
                        try row.bytes("body"), fits
                    ))
            }
        }
        // A stable merge: a stream's own order is kept, for its times do not fall.
        found.sort { ($0.at, $0.stream, $0.seq) < ($1.at, $1.stream, $1.seq) }
        var events: [String] = []
        var stopped: Set<String> = []
        for one in found {
            if events.count == limit { break }
            // Times of one stream may fall by a clock that was set back: then it waits for its turn.
            guard !stopped.contains(one.stream) else { continue }
            guard one.seq == (after[one.stream] ?? 0) + 1 else {
                stopped.insert(one.stream)
                continue
            }
            after[one.stream] = one.seq
            if one.fits { events.append(String(decoding: one.body, as: UTF8.self)) }
        }
        return (events, after)
    }
}
