import Contracts
import FoundationEssentials
import HTTPTypes
import Hummingbird
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
                    let read = try? JSON.decode([String: Int64].self, from: bytes),
                    read.values.allSatisfy({ (0..<Int64.max).contains($0) })
                else { throw Problem.badRequest("after is not a cursor of this feed") }
                positions = read
            }
            let (events, after) = try await page(positions, type: request.query("type"), limit)
            let next = base64URL(Array(try JSON.encode(after)))
            let body = "{\"items\":[" + events.joined(separator: ",") + "],\"next\":\"\(next)\"}"
            return Response.text(body, type: "application/json; charset=utf-8")
        }
    }

    private struct Entry {
        let seq: Int64
        let at: Timestamp
        let body: [UInt8]
        let fits: Bool
    }

    /// The next events over all streams. A stream's own order is kept whatever its clock did: of the streams' next
    /// events the earliest goes first. `next` is always given: the feed has no end.
    private func page(_ positions: [String: Int64], type: String?, _ limit: Int) async throws
        -> ([String], [String: Int64])
    {
        var queues: [String: ArraySlice<Entry>] = [:]
        for service in ServiceIdentity.allCases {
            let rows = try await bus.pool.query(
                """
                SELECT seq, type, at, body FROM inbox_page($1, $1, 'main', $2, $3)
                """, [.text(service.name), .int((positions[service.name] ?? 0) + 1), .int(limit)])
            queues[service.name] = try rows.map { row in
                Entry(
                    seq: try row.int("seq"), at: try row.time("at"), body: try row.bytes("body"),
                    fits: try type == nil || row.string("type") == type)
            }[...]
        }
        var after = positions
        var events: [String] = []
        while events.count < limit,
            let (stream, entry) = queues.compactMap({ name, rest in rest.first.map { (name, $0) } })
                .min(by: { ($0.1.at, $0.0) < ($1.1.at, $1.0) })
        {
            queues[stream]?.removeFirst()
            after[stream] = entry.seq
            if entry.fits { events.append(String(decoding: entry.body, as: UTF8.self)) }
        }
        return (events, after)
    }
}
