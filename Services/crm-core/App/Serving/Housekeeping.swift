import Postgres
import ServiceKit

/// Throws away what is kept for a time only.
struct Housekeeping: Sendable {
    let pool: PostgresPool

    private static let pauseSeconds = 3600.0

    func run() async throws {
        while !Task.isCancelled {
            try await pool.run([
                Idempotency.housekeeping,
                Statement("DELETE FROM failed_login WHERE at < now() - interval '1 day'"),
                Statement("DELETE FROM session WHERE expires_at < now() - interval '30 days'"),
            ])
            try await Task.sleep(for: .seconds(Self.pauseSeconds))
        }
    }
}
