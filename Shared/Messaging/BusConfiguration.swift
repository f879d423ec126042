import Postgres
import ZeroMQ

/// Who this service is on the bus, where its doors are, and whom it talks with.
public struct BusConfiguration: Sendable {
    public let name: String
    public let schema: String
    public let database: PostgresConfiguration
    public let keys: CurveKeys
    public let publishEndpoint: String
    public let letterboxEndpoint: String
    public let peers: [BusPeer]
    /// Services that this one sends commands to.
    public let commandTargets: [String]

    /// Publishers whose facts are taken; set from the subscriptions.
    var subscribed: Set<String> = []

    /// The ZAP domain of the services' doors.
    static let domain = "bus"

    public init(
        name: String, schema: String, database: PostgresConfiguration, keys: CurveKeys,
        publishEndpoint: String, letterboxEndpoint: String, peers: [BusPeer],
        commandTargets: [String] = []
    ) {
        self.name = name
        self.schema = schema
        self.database = database
        self.keys = keys
        self.publishEndpoint = publishEndpoint
        self.letterboxEndpoint = letterboxEndpoint
        self.peers = peers
        self.commandTargets = commandTargets
    }

    var peerNames: [String: String] {
        Dictionary(peers.map { ($0.publicKey, $0.name) }) { first, _ in first }
    }
}

/// Another service as this one reaches it. A reply's address comes from here, never from a letter.
public struct BusPeer: Sendable {
    public let name: String
    public let publicKey: String
    public let publishEndpoint: String
    public let letterboxEndpoint: String

    public init(
        name: String, publicKey: String, publishEndpoint: String, letterboxEndpoint: String
    ) {
        self.name = name
        self.publicKey = publicKey
        self.publishEndpoint = publishEndpoint
        self.letterboxEndpoint = letterboxEndpoint
    }
}
