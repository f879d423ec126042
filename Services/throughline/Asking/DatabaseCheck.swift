import Messaging
import Postgres
import ServiceKit

/// A service's role, its limits, and its log as it is stored.
struct DatabaseCheck: Sendable {
    let service: ServiceIdentity
    let folder: KeyFolder
    let database: DatabaseURL

    /// The longest that a role may let anything wait, in milliseconds.
    private static let limits = [
        ("statement_timeout", 10_000), ("lock_timeout", 2000), ("idle_in_transaction_session_timeout", 10_000),
    ]

    func run() -> [Doctor.Finding] {
        guard let password = try? folder.secret("database-\(service.name)") else {
            return [.init(check: "role \(service.schema)", ok: false, advice: "its password is missing")]
        }
        let url = database.of(service, password: password)
        let findings = try? waiting {
            var configuration = PostgresConfiguration(url: url, applicationName: "doctor", schema: service.schema)
            configuration.statementTimeout = 600
            let connection = try await PostgresConnection(configuration)
            let findings = [try await rights(connection), try await timeouts(connection)] + (try await log(connection))
            await connection.close()
            return findings
        }
        return findings ?? [
            .init(
                check: "role \(service.schema)", ok: false,
                advice:
                    "the database at \(database.place) does not answer, or refuses: see its log, and whether DATABASE_URL is the suite's"
            )
        ]
    }

    /// The role must be refused in every schema but its own.
    private func rights(_ connection: PostgresConnection) async throws -> Doctor.Finding {
        for other in ServiceIdentity.allCases where other != service {
            do {
                try await connection.query("SELECT 1 AS one FROM \(other.schema).event LIMIT 1")
                return .init(
                    check: "role \(service.schema) is refused elsewhere", ok: false,
                    advice: "it reads \(other.schema): REVOKE what was granted by hand")
            } catch let error as PostgresError where error.sqlState == "42501" {}
        }
        return .init(check: "role \(service.schema) is refused elsewhere", ok: true, advice: nil)
    }

    private func timeouts(_ connection: PostgresConnection) async throws -> Doctor.Finding {
        let rows = try await connection.query(
            "SELECT coalesce(array_to_string(setconfig, ','), '') AS settings FROM pg_db_role_setting AS s JOIN pg_roles AS r ON r.oid = s.setrole WHERE r.rolname = $1",
            [.text(service.schema)])
        let settings = try rows.map { try $0.string("settings") }.joined(separator: ",")
        let missing = Self.limits.map(\.0).filter { !settings.contains("\($0)=") }
        return .init(
            check: "role \(service.schema) has time-outs", ok: missing.isEmpty,
            advice: missing.isEmpty
                ? nil : "\(missing.joined(separator: ", ")) is not set: start the suite once with throughline up")
    }

    /// Bodies, numbers, links and sealed days, all of them.
    private func log(_ connection: PostgresConnection) async throws -> [Doctor.Finding] {
        let key = try? folder.logVerifyingKey(service)
        return try await LogVerifier(service: service.name, verifying: key).run(connection).map { found in
            .init(
                check: "log \(found.sequence): \(found.events) events, \(found.segments) sealed days",
                ok: found.wrong == nil,
                advice: found.wrong.map {
                    "\($0): the stored log was changed or damaged; restore it from a backup, and let subscribers heal it"
                })
        }
    }
}
