import Logging
import Messaging
import Postgres
import ZeroMQ

/// What a service is given to compose itself: settings, keys, database and the bus's ends.
public struct ServiceContext: Sendable {
    public let identity: ServiceIdentity
    public let options: LaunchOptions
    public let settings: SuiteSettings
    public let log: Logger
    public let keys: KeyFolder
    public let access: AccessControl
    public let database: PostgresConfiguration
    public let zeromq: ZeroMQContext
    public let authenticator: Authenticator

    public init(
        _ identity: ServiceIdentity, _ options: LaunchOptions, _ settings: SuiteSettings, log: Logger
    ) throws {
        self.identity = identity
        self.options = options
        self.settings = settings
        self.log = log
        keys = KeyFolder(data: options.data)
        access = AccessControl(verifying: try keys.verifyingKey(), apiKeys: settings.apiKeys)
        guard let url = settings.databaseURL else {
            throw WrongSettings(file: "the environment", problems: ["DATABASE_URL: is missing"])
        }
        database = PostgresConfiguration(
            url: url, applicationName: identity.name, schema: identity.schema)
        zeromq = ZeroMQContext()
        authenticator = try Authenticator(zeromq)
    }

    public var httpPort: Int {
        options.environment["HTTP_PORT"].flatMap { Int($0) }
            ?? identity.httpPort(base: options.portBase)
    }

    /// A service's HTTP address as its peers reach it.
    public func httpAddress(_ service: ServiceIdentity) -> String {
        let host = service.namedHosts(options.environment)?.first ?? settings.reachableHost
        return "http://\(host):\(service.httpPort(base: options.portBase))"
    }

    /// The bus as this service is on it: ipc in a private folder on one host, tcp between hosts.
    ///
    /// - Parameter snapshot: says the present state as events; see ``EventBus``.
    public func bus(
        subscriptions: [StreamName: EventHandlers], commandsTo targets: [ServiceIdentity] = [],
        snapshot: EventBus.Snapshot? = nil
    ) throws -> EventBus {
        let base = options.portBase
        func bound(_ door: String, _ port: Int) -> String {
            options.bus.map { "ipc://\($0)/\(identity.name).\(door)" } ?? "tcp://0.0.0.0:\(port)"
        }
        var configuration = BusConfiguration(
            name: identity.name, schema: identity.schema, database: database, ring: try keyRing(),
            publishEndpoint: bound("pub", identity.publishPort(base: base)),
            letterboxEndpoint: bound("pull", identity.letterboxPort(base: base)), commandTargets: targets.map(\.name))
        configuration.retention = RetentionPolicy(
            days: settings.retention.days, megabytes: settings.retention.megabytes)
        configuration.signing = try? keys.logSigningKey(identity)
        configuration.isDiskLow = { [data = options.data, limit = settings.retention.freeMegabytes] in
            DiskRoom.free(data).map { $0 < limit } ?? false
        }
        configuration.reload = { try? keyRing() }
        return EventBus(
            configuration, context: zeromq, authenticator: authenticator, log: log,
            subscriptions: subscriptions, snapshot: snapshot)
    }

    /// Own and peers' keys as they are in the folder now. A peer on several hosts has several doors, of which one is open.
    private func keyRing() throws -> KeyRing {
        let peers = try ServiceIdentity.allCases.map { peer in
            func reached(_ door: String, _ port: Int) -> [String] {
                if let folder = options.bus { return ["ipc://\(folder)/\(peer.name).\(door)"] }
                return peer.hosts(options.environment).map { "tcp://\($0):\(port)" }
            }
            return BusPeer(
                name: peer.name, publicKey: try keys.publicKey(peer),
                publishEndpoints: reached("pub", peer.publishPort(base: options.portBase)),
                letterboxEndpoints: reached("pull", peer.letterboxPort(base: options.portBase)))
        }
        return KeyRing(own: try keys.curve(identity), peers: peers)
    }
}
