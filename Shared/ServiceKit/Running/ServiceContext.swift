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
        "http://\(service.host(options.environment)):\(service.httpPort(base: options.portBase))"
    }

    /// The bus as this service is on it: ipc in a private folder on one host, tcp between hosts.
    public func bus(
        subscriptions: [StreamName: EventHandlers], commandsTo targets: [ServiceIdentity] = []
    ) throws -> EventBus {
        let base = options.portBase
        func endpoint(_ service: ServiceIdentity, _ door: String, _ port: Int, bind: Bool) -> String {
            if let folder = options.bus { return "ipc://\(folder)/\(service.name).\(door)" }
            return "tcp://\(bind ? "0.0.0.0" : service.host(options.environment)):\(port)"
        }
        let peers = try ServiceIdentity.allCases.map { peer in
            BusPeer(
                name: peer.name, publicKey: try keys.publicKey(peer),
                publishEndpoint: endpoint(peer, "pub", peer.publishPort(base: base), bind: false),
                letterboxEndpoint: endpoint(
                    peer, "pull", peer.letterboxPort(base: base), bind: false))
        }
        let configuration = BusConfiguration(
            name: identity.name, schema: identity.schema, database: database,
            keys: try keys.curve(identity),
            publishEndpoint: endpoint(
                identity, "pub", identity.publishPort(base: base), bind: true),
            letterboxEndpoint: endpoint(
                identity, "pull", identity.letterboxPort(base: base), bind: true),
            peers: peers, commandTargets: targets.map(\.name))
        return EventBus(
            configuration, context: zeromq, authenticator: authenticator, log: log,
            subscriptions: subscriptions)
    }
}
