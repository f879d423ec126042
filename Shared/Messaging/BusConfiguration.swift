import Postgres
import Sodium
import ZeroMQ

/// Who this service is on the bus, where its doors are, and whom it talks with.
public struct BusConfiguration: Sendable {
    public let name: String
    public let schema: String
    public let database: PostgresConfiguration
    public let publishEndpoint: String
    public let letterboxEndpoint: String
    /// As it was at the start; `reload` reads it anew.
    public internal(set) var ring: KeyRing
    public var reload: @Sendable () -> KeyRing? = { nil }
    /// Services that this one sends commands to.
    public let commandTargets: [String]

    /// How long the log is kept, and what finished days are signed with; nil: they are not sealed.
    public var retention = RetentionPolicy()
    public var signing: SigningKey?
    /// Whether room is short: then `bulk` is slowed and `main` lives on.
    public var isDiskLow: @Sendable () -> Bool = { false }
    /// For those who try what a death at a given moment does.
    public var checkpoint = Checkpoint.none

    /// Publishers whose facts are taken; set from the subscriptions.
    var subscribed: Set<String> = []

    /// The ZAP domain of the services' doors.
    static let domain = "bus"

    public init(
        name: String, schema: String, database: PostgresConfiguration, ring: KeyRing,
        publishEndpoint: String, letterboxEndpoint: String, commandTargets: [String] = []
    ) {
        self.name = name
        self.schema = schema
        self.database = database
        self.ring = ring
        self.publishEndpoint = publishEndpoint
        self.letterboxEndpoint = letterboxEndpoint
        self.commandTargets = commandTargets
    }
    /// Files of the doors that are ipc.
    var doorFiles: [String] {
        [publishEndpoint, letterboxEndpoint].filter { $0.hasPrefix("ipc://") }.map { String($0.dropFirst(6)) }
    }
    var keys: CurveKeys { ring.own }
    var peers: [BusPeer] { ring.peers }
    var peerNames: [String: String] {
        Dictionary(peers.map { ($0.publicKey, $0.name) }) { first, _ in first }
    }
}

/// The keys of this service and of those it talks with. When they change, every connection is made anew: so a revoked key is
/// cut off although libzmq asks for it only when a connection begins (reference 42a). What that loses is asked for again.
public struct KeyRing: Sendable, Equatable {
    public let own: CurveKeys
    public let peers: [BusPeer]
    public init(own: CurveKeys, peers: [BusPeer]) {
        self.own = own
        self.peers = peers
    }
}

/// Another service as this one reaches it. A reply's address comes from here, never from a letter.
public struct BusPeer: Sendable, Equatable {
    public let name: String
    public let publicKey: String
    /// Several where instances stand on several hosts: only the one that leads has its doors open.
    public let publishEndpoints: [String]
    public let letterboxEndpoints: [String]

    public init(
        name: String, publicKey: String, publishEndpoints: [String], letterboxEndpoints: [String]
    ) {
        self.name = name
        self.publicKey = publicKey
        self.publishEndpoints = publishEndpoints
        self.letterboxEndpoints = letterboxEndpoints
    }
}
