import Postgres
import Primitives
import ServiceKit

/// Orders that wait for 1C, by base.
extension AccountingBridge {
    public func queues() async throws -> [WorkQueue] {
        try await bus.pool.query(
            """
            SELECT o.base, count(*) AS n, extract(epoch FROM clock_timestamp() - min(o.requested_at)) AS oldest,
                max(b.paused_by) AS paused_by, (
                    SELECT cause FROM base_alarm a WHERE a.base = o.base ORDER BY since LIMIT 1) AS failing
            FROM order_out AS o LEFT JOIN base_state AS b ON b.base = o.base
            WHERE o.\(OrderQueue.waits) GROUP BY o.base ORDER BY o.base
            """
        ).map {
            let paused = try $0.optionalString("paused_by")
            let failing = try $0.optionalString("failing")
            return WorkQueue(
                name: "orders:\(try $0.string("base"))", waiting: Int(try $0.int("n")),
                oldestSeconds: try $0.optionalDouble("oldest"),
                state: paused != nil ? "paused" : failing != nil ? "failing" : "flows",
                waitsFor: paused.map { "приостановил: \($0)" } ?? failing)
        }
    }

    public func queuePlaces(_ journey: ID) async throws -> [QueuePlace] {
        try await bus.pool.query(
            """
            SELECT o.base, o.number, o.state, o.reason, o.requested_at, b.paused_by, (
                    SELECT cause FROM base_alarm a WHERE a.base = o.base ORDER BY since LIMIT 1) AS failing,
                (SELECT count(*) FROM order_out AS w WHERE w.base = o.base AND w.\(OrderQueue.waits)
                    AND (w.requested_at, w.number) < (o.requested_at, o.number)) AS ahead
            FROM order_out AS o LEFT JOIN base_state AS b ON b.base = o.base
            WHERE o.journey_id = $1 AND (o.\(OrderQueue.waits) OR o.state = 'refused') ORDER BY o.requested_at LIMIT 50
            """, [.id(journey)]
        ).map { row in
            let waiting =
                try row.optionalString("reason") ?? row.optionalString("paused_by").map { "приостановил: \($0)" }
                ?? row.optionalString("failing") ?? "обмен с 1С"
            return QueuePlace(
                service: Self.identity.name, queue: "orders:\(try row.string("base"))",
                what: "заказ \(try row.string("number"))",
                ahead: try row.string("state") != "refused" ? Int(try row.int("ahead")) : 0,
                since: try row.time("requested_at"), waitsFor: waiting)
        }
    }
}
