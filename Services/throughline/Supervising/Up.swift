import ArgumentParser
import FoundationEssentials
import Glibc
import ServiceKit
import Sodium

/// Makes what is missing (cluster, roles, keys), starts everything, restarts what dies, and on Ctrl-C stops it all.
struct Up: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Start the suite and stay in the foreground.")
    @OptionGroup var suite: SuiteOptions

    func run() throws {
        let environment = ProcessInfo.processInfo.environment
        let settings: SuiteSettings
        let data = absolute(suite.data)
        let config = (suite.config ?? environment["THROUGHLINE_CONFIG"]).map { absolute($0) }
        do { settings = try SuiteSettings.load(file: config, environment: environment) } catch {
            LogOutput.write("\(error)\n")
            throw ExitCode(78)
        }
        // Five services would all want it.
        guard environment["HTTP_PORT"] == nil else {
            LogOutput.write("HTTP_PORT: is for a service that runs alone; here --port-base moves all ports\n")
            throw ExitCode(78)
        }
        try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
        DiskReserve(data: data).look()
        let keys = KeyFolder(data: data)
        try keys.create()
        let bus = SocketFolder.forBus(data: data) { hex(sha256(Array($0.utf8))) }
        try SocketFolder.create(bus)
        let supervisor = Supervisor()
        supervisor.takeSignals()
        let cluster = EmbeddedCluster(
            data: data, port: ServiceIdentity.databasePort(base: suite.portBase), keys: keys)
        let admin: String
        if let given = settings.databaseURL {
            admin = given
        } else {
            admin = try cluster.start(supervisor)
            supervisor.onOtherEnd = { cluster.ended($0) }
        }
        do {
            let urls = try waiting { try await Provisioning(admin: admin, keys: keys).run() }
            for service in ServiceIdentity.allCases {
                var child = environment
                child["DATABASE_URL"] = urls[service]
                child["DATABASE_URL_FILE"] = nil
                child["THROUGHLINE_DATA"] = data
                // A backtracer inherits the dead service's port and may outlive it: the next start would find it taken.
                child["SWIFT_BACKTRACE"] = environment["SWIFT_BACKTRACE"] ?? "enable=no"
                var arguments = ["--data", data, "--bus", bus, "--port-base", "\(suite.portBase)"]
                if let config { arguments += ["--config", config] }
                supervisor.add(
                    .init(
                        name: service.name, path: Self.sibling(service.name), arguments: arguments, environment: child))
            }
            let host = settings.reachableHost
            let base = suite.portBase
            let code = supervisor.run(
                isReady: {
                    (try? waiting {
                        await SuiteClient(host: host, portBase: base).allReady()
                    }) ?? false
                },
                onReady: { print("throughline is ready: http://\(host):\(base)") })
            cluster.stop(supervisor)
            if code != 0 { throw ExitCode(code) }
        } catch {
            cluster.stop(supervisor)
            throw error
        }
    }

    /// The executable that lies beside this one.
    private static func sibling(_ name: String) -> String {
        let me =
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        return String(me.reversed().drop { $0 != "/" }.reversed()) + name
    }
}

func absolute(_ path: String) -> String {
    path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
}
