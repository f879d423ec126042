import CoreMetrics
import FoundationEssentials
import Glibc
import Hummingbird
import Logging
import Messaging
import Postgres
import Primitives
import ServiceLifecycle
import Sodium

/// Runs one service as a process: settings, logging, HTTP, migrations, bus and loops, until SIGTERM.
public enum ServiceRunner {
    /// Exit code for wrong settings (sysexits EX_CONFIG).
    static let wrongSettings: Int32 = 78

    public static func main<Service: SuiteService>(_ type: Service.Type) async {
        do {
            let environment = ProcessInfo.processInfo.environment
            let options = try LaunchOptions(
                arguments: CommandLine.arguments, environment: environment)
            await Prepared.wait(options)
            let settings = try SuiteSettings.load(file: options.config, environment: environment)
            LocalTime.start(settings.company.timeZone)
            LogOutput.start(settings, name: Service.identity.name)
            MetricsSystem.bootstrap(PrometheusFactory.shared)
            let log = Logger(label: Service.identity.name)
            let context = try ServiceContext(Service.identity, options, settings, log: log)
            try await run(try Service(context), context)
            _exit(0)  // libzmq's context is not torn down: see ZeroMQContext.shutdown.
        } catch let error as WrongSettings {
            LogOutput.write("\(error)\n")
            _exit(wrongSettings)
        } catch {
            LogOutput.write("\(Service.identity.name) stops: \(error)\n")
            _exit(1)
        }
    }

    static func run<Service: SuiteService>(_ service: Service, _ context: ServiceContext) async throws {
        let readiness = Readiness()
        let router = Router(context: ServiceRequestContext.self)
        router.addMiddleware {
            RequestMetrics()
            ConnectionMiddleware()
            ProxyMiddleware(proxies: context.settings.proxies)
            ProblemMiddleware()
            CallerMiddleware(access: context.access, takesForms: Service.identity == .crmCore)
        }
        StandardRoutes(service: service, readiness: readiness).add(to: router)
        service.addRoutes(to: router)
        var quiet = context.log
        quiet.logLevel = max(.notice, context.log.logLevel)
        let application = Application(
            router: router,
            configuration: .init(
                address: .hostname(context.settings.httpHost, port: context.httpPort),
                serverName: "throughline"),
            logger: quiet)
        var group = ServiceGroupConfiguration(
            services: [
                .init(service: application),
                .init(
                    service: Work(service: service, context: context, readiness: readiness),
                    successTerminationBehavior: .gracefullyShutdownGroup),
            ],
            gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet)
        group.maximumGracefulShutdownDuration = .seconds(6)
        group.maximumCancellationDuration = .seconds(2)
        try await ServiceGroup(configuration: group).run()
    }

    /// Everything but HTTP: schema, bus, loops.
    private struct Work<Service: SuiteService>: ServiceLifecycle.Service {
        let service: Service
        let context: ServiceContext
        let readiness: Readiness

        func run() async throws {
            await cancelWhenGracefulShutdown { await work() }
        }

        private func work() async {
            await becomeReady()
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    do { try await service.bus.run() } catch is CancellationError {} catch {
                        context.log.critical("the bus stopped", metadata: ["reason": "\(error)"])
                    }
                }
                group.addTask {
                    await keepRunning("revoked sessions") {
                        try await RevokedSessions.follow(service.bus.pool, context.access)
                    }
                }
                // A standby works beside nobody.
                for loop in service.loops {
                    group.addTask {
                        guard (try? await service.bus.untilLeading()) != nil else { return }
                        await keepRunning(loop.name, loop.run)
                    }
                }
                // The bus ending means the process cannot work: it stops and is started again.
                await group.next()
                group.cancelAll()
            }
        }

        private func becomeReady() async {
            var backoff = Backoff(first: 0.05, limit: 1)
            let migrator = Migrator(
                schema: context.identity.schema, EventBus.migrations + [RevokedSessions.migration] + Service.migrations,
                checksum: { hex(sha256(Array($0.utf8))) })
            while !Task.isCancelled {
                do {
                    let applied = try await migrator.migrate(service.bus.pool)
                    if !applied.isEmpty {
                        context.log.info("schema brought up to date", metadata: ["files": "\(applied)"])
                    }
                    try await RevokedSessions.load(service.bus.pool, context.access)
                    try await service.prepare()
                    readiness.set(nil)
                    return
                } catch {
                    readiness.set("database: \(error)")
                    context.log.warning("waiting", metadata: ["for": "\(error)"])
                    try? await Task.sleep(for: .seconds(backoff.next()))
                }
            }
        }

        private func keepRunning(_ name: String, _ run: @Sendable () async throws -> Void) async {
            var backoff = Backoff(first: 0.1, limit: 2)
            while !Task.isCancelled {
                do { try await run() } catch is CancellationError {} catch {
                    context.log.warning(
                        "a loop failed and starts again",
                        metadata: ["loop": "\(name)", "reason": "\(error)"])
                }
                if Task.isCancelled { return }
                try? await Task.sleep(for: .seconds(backoff.next()))
            }
        }
    }
}
