import Postgres
import ServiceKit

/// Makes the database, and for each service a role that can reach its own schema only.
struct Provisioning: Sendable {
    let admin: String
    let keys: KeyFolder

    static let database = "throughline"

    /// The URL of each service's own role.
    func run() async throws -> [ServiceIdentity: String] {
        var parts = try DatabaseURL(admin)
        if parts.database == "postgres" {
            let connection = try await PostgresConnection(
                PostgresConfiguration(url: admin, applicationName: "throughline"))
            let known = try await connection.query(
                "SELECT 1 AS one FROM pg_database WHERE datname = $1", [.text(Self.database)])
            if known.isEmpty { try await connection.runScript("CREATE DATABASE \(Self.database)") }
            await connection.close()
            parts.database = Self.database
        }
        var configuration = PostgresConfiguration(url: parts.text, applicationName: "throughline")
        configuration.statementTimeout = 60
        let connection = try await PostgresConnection(configuration)
        var urls: [ServiceIdentity: String] = [:]
        for service in ServiceIdentity.allCases {
            let password = try keys.secret("database-\(service.name)")
            try await connection.runScript(Self.role(service.schema, password))
            try await connection.runScript(Self.membership(service.schema))
            try await connection.runScript(
                """
                CREATE SCHEMA IF NOT EXISTS \(service.schema) AUTHORIZATION \(service.schema);
                GRANT CONNECT ON DATABASE \(parts.database) TO \(service.schema)
                """)
            urls[service] = parts.of(service, password: password)
        }
        try await connection.runScript(Self.textSearch)
        let bi = ServiceIdentity.biAggregator.schema
        try await connection.runScript(Self.role("bi_reader", try keys.secret("database-bi_reader")))
        try await connection.runScript(
            """
            REVOKE ALL ON DATABASE \(parts.database) FROM PUBLIC;
            REVOKE ALL ON SCHEMA public FROM PUBLIC;
            GRANT CONNECT ON DATABASE \(parts.database) TO bi_reader;
            CREATE SCHEMA IF NOT EXISTS bi AUTHORIZATION \(bi);
            GRANT USAGE ON SCHEMA bi TO bi_reader;
            ALTER ROLE bi_reader SET statement_timeout = '60s';
            ALTER ROLE bi_reader SET default_transaction_read_only = on
            """)
        await connection.close()
        return urls
    }

    /// PostgreSQL's own extension for finding words within texts, where every role can name it. A server that lacks it, or an
    /// administrator who may not make it, costs speed and nothing else.
    private static let textSearch = """
        DO $$ BEGIN
            CREATE SCHEMA IF NOT EXISTS extensions;
            GRANT USAGE ON SCHEMA extensions TO PUBLIC;
            CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA extensions;
        EXCEPTION WHEN feature_not_supported OR undefined_file OR insufficient_privilege THEN
            RAISE NOTICE 'pg_trgm is not here: %', SQLERRM;
        END $$
        """

    /// Who is no superuser may give a schema only to a role that he is a member of.
    private static func membership(_ name: String) -> String {
        """
        DO $$ BEGIN
            IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
                EXECUTE format('GRANT \(name) TO %I', current_user);
            END IF;
        END $$
        """
    }

    /// Passwords are hexadecimal: nothing in them can end the literal.
    private static func role(_ name: String, _ password: String) -> String {
        """
        DO $$ BEGIN
            IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '\(name)') THEN
                CREATE ROLE \(name) LOGIN;
            END IF;
        END $$;
        ALTER ROLE \(name) LOGIN PASSWORD '\(password)';
        ALTER ROLE \(name) SET lock_timeout = '2s';
        ALTER ROLE \(name) SET statement_timeout = '10s';
        ALTER ROLE \(name) SET idle_in_transaction_session_timeout = '10s'
        """
    }
}

/// `postgres://user:password@host:port/database?options`, taken apart and put together.
struct DatabaseURL {
    var user, password, place, database, options: String

    struct Unreadable: Error, CustomStringConvertible {
        let description = "DATABASE_URL is not of the form postgres://user:password@host:port/database"
    }

    init(_ text: String) throws {
        guard let scheme = ["postgres://", "postgresql://"].first(where: { text.hasPrefix($0) }) else {
            throw Unreadable()
        }
        var rest = text.dropFirst(scheme.count)
        options = ""
        if let mark = rest.firstIndex(of: "?") {
            options = String(rest[mark...])
            rest = rest[..<mark]
        }
        guard let slash = rest.lastIndex(of: "/") else { throw Unreadable() }
        database = String(rest[rest.index(after: slash)...])
        rest = rest[..<slash]
        (user, password) = ("", "")
        if let at = rest.lastIndex(of: "@") {
            let credentials = rest[..<at].split(separator: ":", maxSplits: 1)
            user = credentials.first.map(String.init) ?? ""
            password = credentials.count > 1 ? String(credentials[1]) : ""
            rest = rest[rest.index(after: at)...]
        }
        place = String(rest)
    }

    /// Where a service reaches its own schema.
    func of(_ service: ServiceIdentity, password: String) -> String {
        var own = self
        (own.user, own.password) = (service.schema, password)
        if own.database == "postgres" { own.database = Provisioning.database }
        return own.text
    }

    var text: String { "postgres://\(user):\(password)@\(place)/\(database)\(options)" }
}
