import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit
import Sodium

/// Members of staff: made from the settings at first start, changed in the workspace afterwards.
struct Staff: Sendable {
    let bus: EventBus

    /// Makes the users that the settings list and the database lacks.
    func create(_ users: [SuiteSettings.User], warn: @Sendable (String) -> Void) async throws {
        let known = try await bus.pool.query("SELECT login, name, roles::text AS roles FROM staff")
        var byLogin: [String: (String, Set<String>)] = [:]
        for row in known {
            byLogin[try row.string("login")] = (try row.string("name"), Set(try row.list("roles")))
        }
        for user in users {
            if let (name, roles) = byLogin[user.login] {
                if name != user.name || roles != Set(user.roles) {
                    warn("user \(user.login) differs from the settings; the workspace's version stands")
                }
                continue
            }
            try await add(user)
        }
    }

    private func add(_ user: SuiteSettings.User) async throws {
        let hash = Password.hash(user.password)
        let id = ID.make()
        try await bus.transaction { transaction in
            let added = try await transaction.query(
                """
                INSERT INTO staff (id, login, name, password_hash, roles, email, department)
                VALUES ($1, $2, $3, $4, $5::text[], $6, $7) ON CONFLICT DO NOTHING
                """,
                [
                    .id(id), .text(user.login), .text(user.name), .text(hash), .texts(user.roles),
                    .text(user.email), .text(user.department),
                ]
            ).affected
            guard added == 1 else { return }
            try transaction.emit(
                UserChanged(
                    userId: id, login: user.login, name: user.name, roles: user.roles,
                    email: user.email, active: true),
                key: id.description, correlation: nil, causation: nil)
        }
    }

    /// The next manager at work, in turn; nil when nobody is.
    static func nextResponsible(in transaction: EventTransaction) async throws -> (id: ID, name: String)? {
        guard
            let row = try await transaction.query(
                """
                UPDATE staff SET last_assigned_at = clock_timestamp() WHERE id = (
                    SELECT id FROM staff WHERE active AND at_work AND 'manager' = ANY(roles)
                    ORDER BY last_assigned_at NULLS FIRST, login LIMIT 1 FOR UPDATE)
                RETURNING id, name
                """
            ).first
        else { return nil }
        return (try row.id("id"), try row.string("name"))
    }
}
