import ArgumentParser
import Contracts
import FoundationEssentials
import Glibc
import Messaging
import Postgres
import ServiceKit
import Sodium
import ZeroMQ

/// Looks the suite over and says in plain words what is wrong and what to do.
struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check keys, doors, rights, time-outs, logs and their seals, retention, services and disk.")
    @OptionGroup var suite: SuiteOptions

    struct Finding: Encodable {
        let check: String
        let ok: Bool
        let advice: String?
    }

    func run() throws {
        let data = absolute(suite.data)
        let folder = KeyFolder(data: data)
        var findings = keys(folder) + disk(data)
        findings += services()
        findings += alarms()
        findings += journal()
        if let bus = ServiceIdentity.busFolder(data) { findings += (try? doors(folder, bus)) ?? [] }
        let database = try database()
        findings += ServiceIdentity.allCases.flatMap {
            DatabaseCheck(service: $0, folder: folder, database: database).run()
        }
        if suite.json {
            print(try JSON.text(findings))
        } else {
            for one in findings {
                print("\(one.ok ? "ok   " : "WRONG") \(one.check)\(one.advice.map { " — \($0)" } ?? "")")
            }
        }
        if findings.contains(where: { !$0.ok }) { throw ExitCode(1) }
    }

    /// The database that the settings name, else the one that `throughline up` runs beside the data.
    private func database() throws -> DatabaseURL {
        let environment = ProcessInfo.processInfo.environment
        let file = suite.config ?? environment["THROUGHLINE_CONFIG"]
        let given =
            (try? SuiteSettings.load(file: file, environment: environment))?.databaseURL ?? environment["DATABASE_URL"]
        let own = "postgres://127.0.0.1:\(ServiceIdentity.databasePort(base: suite.portBase))/\(Provisioning.database)"
        return try DatabaseURL(given ?? own)
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
        let free = Int(UInt64(info.f_bavail) * UInt64(info.f_frsize) / 1_048_576)
        let limit = (try? SuiteSettings.load(file: suite.config, environment: [:]))?.retention.freeMegabytes ?? 1024
        return [
            Finding(
                check: "disk: \(free) MiB free", ok: free > limit,
                advice: free > limit
                    ? nil
                    : "less than \(limit) MiB are left: make room, or keep fewer days (retention.days)"
            )
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

    /// Each service's doors must turn a stranger away.
    private func doors(_ folder: KeyFolder, _ bus: String) throws -> [Finding] {
        let context = ZeroMQContext()
        _ = try Authenticator(context)
        return ServiceIdentity.allCases.map { service in
            guard let key = try? folder.publicKey(service) else {
                return Finding(check: "doors of \(service.name)", ok: false, advice: "its public key is missing")
            }
            let closed = try? DoorTest.turnsStrangersAway(
                publishEndpoint: "ipc://\(bus)/\(service.name).pub",
                letterboxEndpoint: "ipc://\(bus)/\(service.name).pull", serverKey: key, context)
            let advice: String? =
                switch closed {
                case .some(true): nil
                case .some(false): "a key that nobody knows gets in: stop the suite and check libzmq's CURVE and ZAP"
                case .none: "nobody answers at its doors on this host"
                }
            return Finding(check: "doors of \(service.name) turn strangers away", ok: advice == nil, advice: advice)
        }
    }

    /// Whether the journal of the exchanges with 1C is what it was.
    private func journal() -> [Finding] {
        guard let client = try? SuiteClient(portBase: suite.portBase, data: suite.data),
            let answer = try? waiting({ try await client.get(.accountingBridge, "/api/v1/journal-seals?days=7") }),
            answer.status == 200
        else {
            let advice =
                "accounting-bridge did not tell: is it running? GET /api/v1/journal-seals?days=7 asks it directly"
            return [Finding(check: "journal of the exchanges with 1C", ok: false, advice: advice)]
        }
        let wrong = items(answer.json, "days").filter { $0["wrong"]?.stringValue != nil }
        let check = "journal of the exchanges with 1C, last 7 days"
        guard !wrong.isEmpty else { return [Finding(check: check, ok: true, advice: nil)] }
        return wrong.map {
            let advice =
                "\(field($0, "day")): \(field($0, "wrong")). Compare with a backup: somebody has changed the database"
            return Finding(check: check, ok: false, advice: advice)
        }
    }

    /// What a service itself says stands against its log and its streams.
    private func alarms() -> [Finding] {
        var findings: [Finding] = []
        for service in ServiceIdentity.allCases {
            guard let client = try? SuiteClient(portBase: suite.portBase, data: suite.data),
                let answer = try? waiting({ try await client.get(service, "/api/v1/bus") }), answer.status == 200
            else { continue }
            var words: [String] = items(answer.json, "alarms").map { $0.words }
            for stream in items(answer.json, "takes") where stream["stopped"] == .bool(true) {
                words.append("\(field(stream, "name")) is \(field(stream, "phase")): see throughline stream --help")
            }
            let check = "retention and streams of \(service.name)"
            if words.isEmpty { findings.append(Finding(check: check, ok: true, advice: nil)) }
            for word in words { findings.append(Finding(check: check, ok: false, advice: word)) }
        }
        return findings
    }
}
