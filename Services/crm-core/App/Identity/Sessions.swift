import Contracts
import HTTPTypes
import Hummingbird
import Messaging
import Postgres
import Primitives
import ServiceKit
import Sodium

/// Logging in and out. Attempts are throttled by login and by address; tokens live twelve hours.
struct Sessions: Sendable {
    let bus: EventBus
    let key: SigningKey
    let access: AccessControl
    /// The workspace is reached through https: its cookie must not travel otherwise.
    let isSecure: Bool
    private let checks = PasswordChecks()

    init(bus: EventBus, key: SigningKey, access: AccessControl, isSecure: Bool) {
        self.bus = bus
        self.key = key
        self.access = access
        self.isSecure = isSecure
    }

    static let cookie = "throughline_session"
    private static let lifetimeSeconds = 12 * 3600.0
    /// Failed attempts within 15 minutes before a login, or an address, has to wait.
    private static let loginLimit: Int64 = 8
    private static let addressLimit: Int64 = 60

    struct Credentials: Codable, Sendable { let login, password: String }
    struct UserView: Codable, Sendable {
        let id: ID
        let login, name: String
        let roles: [String]
        let email: String?
    }
    struct Opened: Encodable, Sendable {
        let token: String
        let expiresAt: Timestamp
        let user: UserView
    }

    /// - Throws: 401 for a wrong pair, 429 when there were too many.
    func open(_ credentials: Credentials, address: String) async throws -> Opened {
        let failed = try await bus.pool.query(
            """
            SELECT count(*) FILTER (WHERE login = $1) AS by_login,
                count(*) FILTER (WHERE address = $2) AS by_address
            FROM failed_login WHERE at > now() - interval '15 minutes'
            """, [.text(credentials.login.prefix(200).description), .text(address)])[0]
        guard try failed.int("by_login") < Self.loginLimit,
            try failed.int("by_address") < Self.addressLimit
        else {
            throw Problem(
                .tooManyRequests, "too-many-attempts", "Too many attempts to log in",
                detail: "try again in 15 minutes")
        }
        let row = try await bus.pool.query(
            """
            SELECT id, login, name, password_hash, roles::text AS roles, email FROM staff
            WHERE login = $1 AND active
            """, [.text(credentials.login)]
        ).first
        // A password is hashed for unknown logins too: the time must not tell which exist.
        let hash = try row?.string("password_hash") ?? Self.dummyHash
        guard try await checks.matches(credentials.password, hash), let row else {
            try await bus.pool.query(
                "INSERT INTO failed_login (login, address) VALUES ($1, $2)",
                [.text(credentials.login.prefix(200).description), .text(address)])
            throw Problem(.unauthorized, "wrong-credentials", "Login or password is wrong")
        }
        return try await issue(row)
    }

    private static let dummyHash = Password.hash("no such user")

    private func issue(_ row: Row) async throws -> Opened {
        let user = UserView(
            id: try row.id("id"), login: try row.string("login"), name: try row.string("name"),
            roles: try row.list("roles"), email: try row.optionalString("email"))
        let session = SessionToken(
            session: .make(), user: user.id, name: user.name, roles: user.roles,
            expiresAt: Timestamp.now().adding(seconds: Self.lifetimeSeconds))
        try await bus.pool.query(
            "INSERT INTO session (id, user_id, expires_at) VALUES ($1, $2, $3)",
            [.id(session.session), .id(user.id), .time(session.expiresAt)])
        return Opened(token: try session.signed(key), expiresAt: session.expiresAt, user: user)
    }

    func close(_ session: ID) async throws {
        access.revoke(session)
        try await bus.transaction { transaction in
            try await transaction.query(
                "UPDATE session SET revoked_at = now() WHERE id = $1", [.id(session)])
            try await RevokedSessions.remember(session, in: transaction)
            try transaction.emit(
                SessionRevoked(sessionId: session), key: session.description, correlation: nil,
                causation: nil)
        }
    }

    func cookieHeader(_ opened: Opened) -> String {
        "\(Self.cookie)=\(opened.token); Path=/; HttpOnly; SameSite=Lax; Max-Age=\(Int(Self.lifetimeSeconds))"
            + (isSecure ? "; Secure" : "")
    }
    static let clearedCookie = "\(cookie)=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"

    /// Binds a form to the session that it was shown to.
    func csrf(_ session: ID) -> String {
        hex(key.sign(Array("csrf:\(session)".utf8)).prefix(16))
    }

    func checkCSRF(_ given: String?, _ caller: Caller) throws {
        guard let session = caller.sessionID, let given,
            isEqualInConstantTime(Array(given.utf8), Array(csrf(session).utf8))
        else {
            throw Problem(.forbidden, "csrf", "The form is stale; load the page again")
        }
    }
}
