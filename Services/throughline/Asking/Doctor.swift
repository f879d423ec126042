import ArgumentParser
import Contracts
import FoundationEssentials
import Glibc
import Postgres
import ServiceKit

/// Looks the suite over and says in plain words what is wrong and what to do.
struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Check keys, database, rights, services and disk.")
    @OptionGroup var suite: SuiteOptions

    private struct Finding: Encodable {
        let check: String
        let ok: Bool
        let advice: String?
    }

    func run() throws {
        let data = absolute(suite.data)
        let folder = KeyFolder(data: data)
        var findings = keys(folder) + disk(data)
        findings += services()
        findings += database(folder)
        if suite.json {
            print(try JSON.text(findings))
        } else {
            for one in findings {
                print("\(one.ok ? "ok   " : "WRONG") \(one.check)\(one.advice.map { " — \($0)" } ?? "")")
            }
        }
        if findings.contains(where: { !$0.ok }) { throw ExitCode(1) }
    }

    private func keys(_ folder: KeyFolder) -> [Finding] {
        var result: [Finding] = []
        for service in ServiceIdentity.allCases {
            let ok = (try? folder.curve(service)) != nil
            result.append(
                Finding(check: "key of \(service.name)", ok: ok, advice: ok ? nil : "run: throughline keys init"))
        }
        var info = stat()
        let secret = stat(folder.path, &info) == 0 && info.st_mode & 0o077 == 0
        result.append(
            Finding(
                check: "the key folder is closed to others", ok: secret,
                advice: secret ? nil : "run: chmod 700 \(folder.path)"))
        return result
    }

    private func disk(_ data: String) -> [Finding] {
        var info = statvfs()
        guard statvfs(data, &info) == 0 else {
            return [Finding(check: "data folder", ok: false, advice: "\(data) cannot be read")]
        }
        let free = UInt64(info.f_bavail) * UInt64(info.f_frsize) / 1_048_576
        return [
            Finding(
                check: "disk: \(free) MiB free", ok: free > 1024,
                advice: free > 1024 ? nil : "less than 1 GiB is left: make room or move the data folder")
        ]
    }

    private func services() -> [Finding] {
        ServiceIdentity.allCases.map { service in
            guard let client = try? SuiteClient(portBase: suite.portBase),
                let answer = try? waiting({ try await client.get(service, "/readyz") })
            else {
                return Finding(
                    check: service.name, ok: false, advice: "does not answer: is the suite running? See: throughline up"
                )
            }
            let missing = answer.json["missing"]?.list.map(\.words).joined(separator: "; ") ?? ""
            return Finding(
                check: "\(service.name) is ready", ok: answer.status == 200, advice: missing.isEmpty ? nil : missing)
        }
    }

    /// Each role must be refused in every schema but its own.
    private func database(_ folder: KeyFolder) -> [Finding] {
        let port = ServiceIdentity.databasePort(base: suite.portBase)
        return ServiceIdentity.allCases.map { service in
            let other = ServiceIdentity.allCases.first { $0 != service } ?? service
            guard let password = try? folder.secret("database-\(service.name)") else {
                return Finding(check: "role \(service.schema)", ok: false, advice: "its password is missing")
            }
            let url = "postgres://\(service.schema):\(password)@127.0.0.1:\(port)/throughline"
            let state: String? = try? waiting {
                let connection = try await PostgresConnection(
                    PostgresConfiguration(url: url, applicationName: "doctor", schema: service.schema))
                do {
                    try await connection.query("SELECT 1 AS one FROM \(other.schema).event LIMIT 1")
                    return "open"
                } catch let error as PostgresError {
                    return error.sqlState == "42501" ? "refused" : "\(error)"
                }
            }
            switch state {
            case "refused": return Finding(check: "role \(service.schema) is refused elsewhere", ok: true, advice: nil)
            case nil:
                return Finding(
                    check: "role \(service.schema)", ok: false, advice: "the database on port \(port) does not answer")
            case let state?:
                return Finding(check: "role \(service.schema) reaches \(other.schema)", ok: false, advice: state)
            }
        }
    }
}
