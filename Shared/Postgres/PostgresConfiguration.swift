import Glibc

/// Where the server is and how long anything may take. All times in seconds.
public struct PostgresConfiguration: Sendable {
    /// A libpq URL or keyword string. Holds a secret: never logged.
    public var url: String
    public var applicationName: String
    /// The schema that unqualified names mean; every service has its own.
    public var schema: String?
    public var connectTimeout = 5
    public var statementTimeout = 10
    public var lockTimeout = 2
    public var idleInTransactionTimeout = 10
    /// Open connections at most.
    public var connectionLimit = 8
    /// How long a caller waits for a free connection.
    public var waitLimit = 10.0

    public init(url: String, applicationName: String, schema: String? = nil) {
        self.url = url
        self.applicationName = applicationName
        self.schema = schema
    }

    /// libpq keywords and values; `dbname` may hold a whole URL.
    var keywords: [(String, String)] {
        let options =
            [
                "-c statement_timeout=\(statementTimeout)s", "-c lock_timeout=\(lockTimeout)s",
                "-c idle_in_transaction_session_timeout=\(idleInTransactionTimeout)s",
                "-c TimeZone=UTC", "-c synchronous_commit=on", "-c client_min_messages=warning",
            ] + (schema.map { ["-c search_path=\($0)"] } ?? [])
        return [
            ("dbname", url), ("application_name", applicationName),
            ("connect_timeout", String(connectTimeout)), ("client_encoding", "UTF8"),
            ("tcp_user_timeout", "15000"), ("keepalives_idle", "10"),
            ("keepalives_interval", "3"), ("keepalives_count", "3"),
            ("options", options.joined(separator: " ")),
        ]
    }
}
