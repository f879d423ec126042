import Postgres

/// Where the session's cookie is kept between processes.
struct SessionKeeper: Sendable {
    let pool: PostgresPool
    let base: String

    func load() async throws -> String? {
        try await pool.query("SELECT session_cookie FROM base_state WHERE base = $1", [.text(base)]).first?
            .optionalString("session_cookie")
    }

    func save(_ cookie: String?) async throws {
        try await pool.query(
            """
            INSERT INTO base_state (base, session_cookie) VALUES ($1, $2)
            ON CONFLICT (base) DO UPDATE SET session_cookie = excluded.session_cookie
            """, [.text(base), .text(cookie)])
    }
}
