import Postgres
import Primitives
import ServiceKit

/// How the bases and the bank's files do.
extension AccountingBridge {
    public func connectors() async throws -> [ConnectorState] {
        let bases = try await BaseStates(pool: bus.pool, settings: settings).all().map { base in
            ConnectorState(
                kind: base.driver, name: base.base, direction: "both",
                lastSuccess: [base.lastSuccess, base.lastRead].compactMap { $0 }.max(), waiting: Int(base.waiting),
                lagSeconds: base.waiting > 0 ? base.lagOutSeconds : nil, attempts: Int(base.exchanges),
                troubles: Int(base.troubles),
                trouble: base.failingCause ?? base.pausedBy.map { "обмен приостановлен: \($0)" },
                troubleSince: base.failingSince)
        }
        let row = try await bus.pool.query(
            """
            SELECT count(*) AS attempts, count(*) FILTER (WHERE result IN ('failed', 'refused', 'parked')) AS troubles,
                (SELECT max(at) FROM bank_statement) AS loaded_at,
                (SELECT count(*) FROM bank_payment WHERE state = 'unmatched') AS unmatched
            FROM exchange WHERE kind = 'bank.statement' AND at > now() - interval '24 hours'
                AND id >= first_id_of(((now() AT TIME ZONE 'UTC') - interval '24 hours')::date)
            """)[0]
        let bank = ConnectorState(
            kind: "bank", name: SuiteSettings.bankBooks, direction: "in",
            lastSuccess: try row.optionalTime("loaded_at"), waiting: Int(try row.int("unmatched")),
            attempts: Int(try row.int("attempts")), troubles: Int(try row.int("troubles")))
        return bases + (settings.bases.isEmpty ? [] : [bank])
    }
}
