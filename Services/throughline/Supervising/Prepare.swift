import ArgumentParser
import FoundationEssentials
import Glibc
import ServiceKit

/// Makes roles, schemas and keys, and hands each service a data folder with its own secrets alone: what `throughline up`
/// does on one host, for services that run apart.
struct Prepare: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make each service's role, schema and keys, for services that run apart (compose).")
    @Option(help: "The folder that gets one data folder per service, and `operator` with all keys.")
    var out: String

    /// Seconds in which the database must answer.
    private static let patience = 120.0

    func run() throws {
        let environment = ProcessInfo.processInfo.environment
        let settings: SuiteSettings
        do {
            settings = try SuiteSettings.load(file: environment["THROUGHLINE_CONFIG"], environment: environment)
        } catch {
            LogOutput.write("\(error)\n")
            throw ExitCode(78)
        }
        guard let admin = settings.databaseURL else {
            LogOutput.write("DATABASE_URL or DATABASE_URL_FILE: is missing\n")
            throw ExitCode(78)
        }
        let all = KeyFolder(data: absolute(out) + "/operator")
        try all.create()
        let urls = try provision(admin, all)
        for service in ServiceIdentity.allCases {
            let folder = absolute(out) + "/\(service.name)"
            try all.handOver(to: service, KeyFolder(data: folder))
            // Last: who finds it may start.
            try PrivateFile.write("\(folder)/database.url", urls[service] ?? "")
        }
        print("prepared: \(ServiceIdentity.allCases.map(\.name).joined(separator: ", "))")
    }

    private func provision(_ admin: String, _ keys: KeyFolder) throws -> [ServiceIdentity: String] {
        let end = Supervisor.now + Self.patience
        while true {
            do { return try waiting { try await Provisioning(admin: admin, keys: keys).run() } } catch {
                guard Supervisor.now < end else { throw error }
                LogOutput.write("waiting for the database: \(error)\n")
                usleep(1_000_000)
            }
        }
    }
}
