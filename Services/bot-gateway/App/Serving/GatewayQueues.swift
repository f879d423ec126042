import Postgres
import Primitives
import ServiceKit

/// What came and is not worked yet, and what is to be sent.
extension BotGateway {
    public func queues() async throws -> [WorkQueue] {
        let answers = try await bus.pool.run([
            Statement(
                """
                SELECT count(*) AS n, extract(epoch FROM clock_timestamp() - min(received_at)) AS oldest FROM incoming
                WHERE state = 'new'
                """),
            Statement(
                """
                SELECT connection, count(*) AS n, extract(epoch FROM clock_timestamp() - min(created_at)) AS oldest,
                    max(reason) FILTER (WHERE attempts > 0) AS reason
                FROM outbox WHERE state IN ('ready', 'sending') GROUP BY connection ORDER BY connection
                """),
        ])
        let incoming = WorkQueue(
            name: "incoming", waiting: Int(try answers[0][0].int("n")),
            oldestSeconds: try answers[0][0].optionalDouble("oldest"))
        return try [incoming]
            + answers[1].map {
                let reason = try $0.optionalString("reason")
                return WorkQueue(
                    name: "outbox:\(try $0.string("connection"))", waiting: Int(try $0.int("n")),
                    oldestSeconds: try $0.optionalDouble("oldest"), state: reason == nil ? "flows" : "failing",
                    waitsFor: reason)
            }
    }

    public func connectors() async throws -> [ConnectorState] {
        let bots = settings.bots.flatMap { bot in
            ["in", "out"].map { ConnectorLedger.Way("telegram", bot.name, $0) }
        }
        let shops = settings.shops.map { ConnectorLedger.Way("shop", $0.name, "in") }
        let arrived = try await bus.pool.query(
            """
            SELECT connection, count(*) AS n, extract(epoch FROM clock_timestamp() - min(received_at)) AS oldest FROM incoming
            WHERE state = 'new' GROUP BY connection
            """
        ).map {
            WorkQueue(
                name: "incoming:\(try $0.string("connection"))", waiting: Int(try $0.int("n")),
                oldestSeconds: try $0.optionalDouble("oldest"))
        }
        return try await connectorLedger.states(expected: bots + shops, queues: try await queues() + arrived) { way in
            way.direction == "out" ? "outbox:\(way.name)" : "incoming:\(way.name)"
        }
    }

    public func queuePlaces(_ journey: ID) async throws -> [QueuePlace] {
        try await bus.pool.query(
            """
            SELECT o.connection, o.method, o.created_at, o.reason, (SELECT count(*) FROM outbox AS b
                WHERE b.connection = o.connection AND b.position < o.position AND b.state IN ('ready', 'sending')) AS ahead
            FROM outbox AS o WHERE o.correlation = $1 AND o.state IN ('ready', 'sending') ORDER BY o.position LIMIT 50
            """, [.id(journey)]
        ).map {
            QueuePlace(
                service: Self.identity.name, queue: "outbox:\(try $0.string("connection"))",
                what: try $0.string("method"),
                ahead: Int(try $0.int("ahead")), since: try $0.time("created_at"),
                waitsFor: try $0.optionalString("reason") ?? "its turn")
        }
    }
}
