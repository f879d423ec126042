import Postgres

/// What stands in the mark of a base's folder, as the database remembers it; nil before it was set up.
struct FolderMark: Sendable {
    let pool: PostgresPool
    let base: String

    func load() async throws -> String? {
        try await pool.query("SELECT folder_mark FROM base_state WHERE base = $1", [.text(base)]).first?
            .optionalString("folder_mark")
    }

    func keep(_ mark: String) async throws {
        try await pool.query(
            """
            INSERT INTO base_state (base, folder_mark) VALUES ($1, $2)
            ON CONFLICT (base) DO UPDATE SET folder_mark = excluded.folder_mark
            """, [.text(base), .text(mark)])
    }
}
