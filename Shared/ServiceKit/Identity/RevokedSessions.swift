import Contracts
import Messaging
import Postgres
import Primitives

/// Sessions that ended before their time, remembered by every service until their tokens have run out: a token is
/// verified by its signature alone, so a service that forgot would let it in again after a restart.
public enum RevokedSessions {
    static var migration: Migration { Migration(2, "V002_identity.sql", PackageResources.V002_identity_sql) }

    /// Remembers what crm-core says of ended sessions.
    public static func take(in handlers: inout EventHandlers, _ access: AccessControl) {
        handlers.on(SessionRevoked.self) { revoked, _, transaction in
            try await remember(revoked.sessionId, in: transaction)
            transaction.afterCommit { access.revoke(revoked.sessionId) }
        }
    }

    public static func remember(_ session: ID, in runner: some StatementRunner) async throws {
        try await runner.query(
            "INSERT INTO revoked_session (id) VALUES ($1) ON CONFLICT DO NOTHING", [.id(session)])
    }

    /// What was remembered before this process started; tokens live twelve hours.
    static func load(_ pool: PostgresPool, _ access: AccessControl) async throws {
        try await pool.query("DELETE FROM revoked_session WHERE at < now() - interval '1 day'")
        try await reload(pool, access)
    }

    /// The table is the truth: an instance that stands by hears no events, and a hook may be missed when the outcome of
    /// its COMMIT was unknown.
    static func follow(_ pool: PostgresPool, _ access: AccessControl) async throws {
        while !Task.isCancelled {
            try await Task.sleep(for: .seconds(3))
            try await reload(pool, access)
        }
    }

    private static func reload(_ pool: PostgresPool, _ access: AccessControl) async throws {
        for row in try await pool.query("SELECT id FROM revoked_session") { access.revoke(try row.id("id")) }
    }
}
