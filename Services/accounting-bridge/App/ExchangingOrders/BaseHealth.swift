import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit

/// What can be wrong with the exchange with a base; each is said, and its end is said, apart from the others.
enum BaseAlarm: String, Sendable, CaseIterable {
    /// Orders on their way to it.
    case orders
    /// What it tells of orders.
    case answers
    /// Its catalogs.
    case goods
    /// Nothing moves in one direction for too long.
    case silence
    /// It is not reached.
    case connection
    /// It lacks something that the exchange needs.
    case format
}

/// Whether the exchange with a base works; each cause is said once, and its end once.
enum BaseHealth {
    static func failing(_ base: String, _ alarm: BaseAlarm, _ cause: String, in transaction: EventTransaction)
        async throws
    {
        let id = ID.make()
        let changed = try await transaction.query(
            """
            INSERT INTO base_alarm AS a (base, kind, cause, cause_id, since) VALUES ($1, $2, $3, $4, now())
            ON CONFLICT (base, kind) DO UPDATE SET cause = excluded.cause, cause_id = excluded.cause_id, since = now()
            WHERE a.cause <> excluded.cause
            """, [.text(base), .text(alarm.rawValue), .text(cause), .id(id)]
        ).affected
        guard changed == 1 else { return }
        try transaction.emit(
            ExchangeFailing(base: base, cause: cause, causeId: id, since: .now()), key: "base:\(base)",
            correlation: nil, causation: nil)
    }

    /// It has answered, and what these alarms speak of works.
    static func works(_ base: String, _ alarms: Set<BaseAlarm>, in transaction: EventTransaction) async throws {
        try await transaction.query(
            """
            INSERT INTO base_state (base, last_contact, last_success) VALUES ($1, now(), now())
            ON CONFLICT (base) DO UPDATE SET last_contact = now(), last_success = now()
            """, [.text(base)])
        try await end(base, alarms, in: transaction)
    }

    private static func end(_ base: String, _ alarms: Set<BaseAlarm>, in transaction: EventTransaction) async throws {
        let ended = try await transaction.query(
            "DELETE FROM base_alarm WHERE base = $1 AND kind = ANY($2::text[]) RETURNING cause_id",
            [.text(base), .texts(alarms.map(\.rawValue))])
        for row in ended {
            try transaction.emit(
                ExchangeRecovered(base: base, causeId: try row.id("cause_id"), by: "1С \(base)"), key: "base:\(base)",
                correlation: nil, causation: nil)
        }
    }

    /// Minutes that an order may wait for a base, or a base's answers for us, before it is said.
    static let lagMinutes = 5

    /// Bases in which nothing moves. A pause by a person is no silence.
    static func watch(_ bus: EventBus, drivers: [String: SuiteSettings.Base.Driver]) async throws {
        while !Task.isCancelled {
            if bus.missing == nil {
                try await bus.transaction { transaction in
                    var silent: [String: String] = [:]
                    let waiting = try await transaction.query(
                        """
                        SELECT o.base FROM order_out o LEFT JOIN base_state b ON b.base = o.base
                        WHERE o.\(OrderQueue.waits) AND b.paused_by IS NULL
                            AND o.requested_at < now() - interval '\(lagMinutes) minutes'
                            AND coalesce(b.last_contact, '-infinity') < now() - interval '\(lagMinutes) minutes'
                        GROUP BY o.base
                        """)
                    for row in waiting {
                        let base = try row.string("base")
                        silent[base] =
                            drivers[base] == .commerceml
                            ? "1С не обращается за заказами дольше \(lagMinutes) минут"
                            : "заказы ждут отправки дольше \(lagMinutes) минут"
                    }
                    let unread = try await transaction.query(
                        """
                        SELECT base FROM base_state WHERE paused_by IS NULL
                            AND last_read < now() - interval '\(lagMinutes) minutes'
                        """)
                    for row in unread {
                        let base = try row.string("base")
                        silent[base] = silent[base] ?? "состояние заказов не читается дольше \(lagMinutes) минут"
                    }
                    for (base, cause) in silent { try await failing(base, .silence, cause, in: transaction) }
                    let known = try await transaction.query("SELECT base FROM base_alarm WHERE kind = 'silence'")
                    for row in known where silent[try row.string("base")] == nil {
                        try await end(try row.string("base"), [.silence], in: transaction)
                    }
                }
            }
            try await Task.sleep(for: .seconds(15))
        }
    }
}
