import Messaging
import Postgres
import ServiceKit

/// Gives up what came from outside or was sent there and is over, once it is older than the services' logs (`retention.days`). What
/// waits, or stands aside for a person, stays. Talks themselves are not touched.
struct GatewayRetention: Sendable {
    let bus: EventBus
    /// Telegram's bots.
    let bots: [String]
    let days: Int

    private static let pause = 3600.0
    private static let standbyPause = 5.0
    /// Rows of one statement at most.
    private static let roundLimit = 5000

    func run() async throws {
        while !Task.isCancelled {
            let leads = bus.missing == nil
            if leads {
                try await bus.pool.run([Idempotency.housekeeping])
                for statement in statements {
                    while try await bus.pool.run([statement])[0].affected == Self.roundLimit {}
                }
            }
            try await Task.sleep(for: .seconds(leads ? Self.pause : Self.standbyPause))
        }
    }

    private var statements: [Statement] {
        let isOver = "received_at < now() - make_interval(days => $1::int) AND state IN ('done', 'kept')"
        return [
            // Telegram repeats an update for a day at most: its number need not be remembered longer.
            Statement(
                """
                DELETE FROM incoming WHERE id IN (
                    SELECT id FROM incoming WHERE \(isOver) AND connection = ANY($2::text[]) LIMIT \(Self.roundLimit))
                """, [.int(days), .texts(bots)]),
            // Of what others sent the name stays, by which a repetition is known however late it comes; its content goes.
            Statement(
                """
                UPDATE incoming SET body = '' WHERE id IN (
                    SELECT id FROM incoming WHERE \(isOver) AND connection <> ALL($2::text[]) AND body <> ''
                    LIMIT \(Self.roundLimit))
                """, [.int(days), .texts(bots)]),
            // Later than the event that wanted it sent, whose day is dropped whole: done again, it would be sent twice.
            Statement(
                """
                DELETE FROM outbox WHERE id IN (
                    SELECT id FROM outbox WHERE created_at < now() - make_interval(days => $1::int + 2)
                        AND state IN ('sent', 'failed', 'unknown') LIMIT \(Self.roundLimit))
                """, [.int(days)]),
        ]
    }
}
