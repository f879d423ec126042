import Postgres
import Primitives
import ServiceKit

/// Letters that are not sent yet.
extension Notifier {
    public func queues() async throws -> [WorkQueue] {
        let row = try await bus.pool.query(
            """
            SELECT count(*) AS n, extract(epoch FROM clock_timestamp() - min(created_at)) AS oldest,
                max(reason) FILTER (WHERE attempts > 0) AS reason
            FROM notification WHERE state IN ('ready', 'sending') AND not_before <= now()
            """)[0]
        let reason = try row.optionalString("reason")
        return [
            WorkQueue(
                name: "letters", waiting: Int(try row.int("n")), oldestSeconds: try row.optionalDouble("oldest"),
                state: reason == nil ? "flows" : "failing", waitsFor: reason)
        ]
    }

    public func connectors() async throws -> [ConnectorState] {
        try await connectorLedger.states(expected: [mail].compactMap { $0 }, queues: try await queues()) { _ in
            "letters"
        }
    }

    public func queuePlaces(_ journey: ID) async throws -> [QueuePlace] {
        try await bus.pool.query(
            """
            SELECT n.template, n.created_at, n.reason, (SELECT count(*) FROM notification AS b
                WHERE b.state IN ('ready', 'sending') AND b.created_at < n.created_at) AS ahead
            FROM notification AS n WHERE n.correlation = $1 AND n.state IN ('ready', 'sending')
            ORDER BY n.created_at LIMIT 50
            """, [.id(journey)]
        ).map {
            QueuePlace(
                service: Self.identity.name, queue: "letters", what: try $0.string("template"),
                ahead: Int(try $0.int("ahead")), since: try $0.time("created_at"),
                waitsFor: try $0.optionalString("reason") ?? "its turn")
        }
    }
}
