import Contracts
import Messaging
import Postgres
import Primitives

/// Whether the exchange with a base works; each cause is said once, and its end once.
enum BaseHealth {
    static func failing(_ base: String, _ cause: String, in transaction: EventTransaction) async throws {
        let id = ID.make()
        let changed = try await transaction.query(
            """
            INSERT INTO base_state AS b (base, failing_cause, failing_id, failing_since)
            VALUES ($1, $2, $3, now())
            ON CONFLICT (base) DO UPDATE SET failing_cause = excluded.failing_cause,
                failing_id = excluded.failing_id, failing_since = now()
            WHERE b.failing_cause IS DISTINCT FROM excluded.failing_cause
            """, [.text(base), .text(cause), .id(id)]
        ).affected
        guard changed == 1 else { return }
        try transaction.emit(
            ExchangeFailing(base: base, cause: cause, causeId: id, since: .now()), key: "base:\(base)",
            correlation: nil, causation: nil)
    }

    static func works(_ base: String, in transaction: EventTransaction) async throws {
        let before = try await transaction.query(
            "SELECT failing_id FROM base_state WHERE base = $1 FOR UPDATE", [.text(base)]
        ).first?.optionalID("failing_id")
        try await transaction.query(
            """
            INSERT INTO base_state (base, last_contact, last_success) VALUES ($1, now(), now())
            ON CONFLICT (base) DO UPDATE SET last_contact = now(), last_success = now(),
                failing_cause = NULL, failing_id = NULL, failing_since = NULL
            """, [.text(base)])
        if let before {
            try transaction.emit(
                ExchangeRecovered(base: base, causeId: before, by: "1С \(base)"), key: "base:\(base)",
                correlation: nil, causation: nil)
        }
    }

    /// Minutes that an order may wait for a base before its silence is said.
    static let silenceMinutes = 5

    /// Bases that have not come for orders that wait.
    static func watch(_ bus: EventBus) async throws {
        while !Task.isCancelled {
            if bus.missing == nil {
                try await bus.transaction { transaction in
                    let silent = try await transaction.query(
                        """
                        SELECT o.base FROM order_out o LEFT JOIN base_state b ON b.base = o.base
                        WHERE o.state = 'ready'
                            AND o.requested_at < now() - interval '\(silenceMinutes) minutes'
                            AND coalesce(b.last_contact, '-infinity') < now() - interval '\(silenceMinutes) minutes'
                            AND b.failing_id IS NULL
                        GROUP BY o.base
                        """)
                    for row in silent {
                        try await failing(
                            try row.string("base"),
                            "1С не обращается за заказами дольше \(silenceMinutes) минут", in: transaction)
                    }
                }
            }
            try await Task.sleep(for: .seconds(15))
        }
    }
}
