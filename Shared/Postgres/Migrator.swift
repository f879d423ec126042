/// One numbered SQL file of a schema, embedded in the binary.
public struct Migration: Sendable {
    public let number: Int
    public let name: String
    public let sql: String

    public init(_ number: Int, _ name: String, _ sql: [UInt8]) {
        self.number = number
        self.name = name
        self.sql = String(decoding: sql, as: UTF8.self)
    }
}

/// Applies migrations forward only, each once, under an advisory lock of the schema. A file that was
/// edited after it had been applied is an error: what runs must be what was tested.
public struct Migrator: Sendable {
    private let schema: String
    private let migrations: [Migration]
    private let checksum: @Sendable (String) -> String

    /// - Parameter checksum: a stable digest of a text, as hexadecimal.
    public init(
        schema: String, _ migrations: [Migration], checksum: @escaping @Sendable (String) -> String
    ) {
        self.schema = schema
        self.migrations = migrations.sorted { $0.number < $1.number }
        self.checksum = checksum
    }

    /// Returns the numbers that were applied now.
    public func migrate(_ pool: PostgresPool) async throws -> [Int] {
        try await pool.withConnection { connection in
            try await connection.query("SET lock_timeout = '60s'")
            try await connection.query("SET statement_timeout = '300s'")
            try await connection.query(
                "SELECT pg_advisory_lock(hashtextextended($1 || '/migrations', 0))", [.text(schema)])
            do {
                let applied = try await applyMissing(connection)
                await connection.close()  // Ends the session, and with it the lock and the time-outs.
                return applied
            } catch {
                await connection.close()
                throw error
            }
        }
    }

    private func applyMissing(_ connection: PostgresConnection) async throws -> [Int] {
        try await connection.runScript(
            """
            CREATE TABLE IF NOT EXISTS \(schema).schema_migration (
                number int PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,
                applied_at timestamptz NOT NULL DEFAULT now())
            """)
        let rows = try await connection.query(
            "SELECT number, name, checksum FROM \(schema).schema_migration")
        var known: [Int: String] = [:]
        for row in rows { known[Int(try row.int("number"))] = try row.string("checksum") }
        var applied: [Int] = []
        for migration in migrations {
            let sum = checksum(migration.sql)
            if let before = known[migration.number] {
                guard before == sum else {
                    throw PostgresError.migration(
                        "\(schema)/\(migration.name) was edited after it had been applied; "
                            + "restore the file and put the change into a new one")
                }
                continue
            }
            try await connection.runScript(
                """
                BEGIN;
                SET LOCAL search_path = \(schema);
                \(migration.sql)
                ;
                INSERT INTO \(schema).schema_migration (number, name, checksum)
                VALUES (\(migration.number), '\(migration.name)', '\(sum)');
                COMMIT
                """)
            applied.append(migration.number)
        }
        return applied
    }
}
