import Contracts
import Foundation
import Logging
import Messaging
import Postgres
import Primitives
import Sodium
import Synchronization
import Testing
import ZeroMQ

let testDatabase = ProcessInfo.processInfo.environment["THROUGHLINE_TEST_DATABASE"]

struct Said: EventContract, Equatable {
    static let type = "test.said.v1"
    let number: Int
}

/// The process's one context and ZAP handler.
private let zeromq = ZeroMQContext()
private let authenticator = Result { try Authenticator(zeromq) }

/// One after the other: the process has one ZAP handler, and each bus tells it whom to let in.
@Suite(.serialized, .enabled(if: testDatabase != nil, "THROUGHLINE_TEST_DATABASE is not set: run deploy/test"))
enum OnARealBus {}

/// Two services on a real bus: sockets, PostgreSQL and all. Each test has schemas of its own.
struct Pair {
    let talker, listener: BusConfiguration
    let pool: PostgresPool
    /// Poked when the listener has heard something, or failed to.
    let news = Signal()

    init() async throws {
        let name = "t\(UInt32.random(in: 0 ... .max))"
        let folder = "/tmp/throughline-\(name)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let keys = ["talker": CurveKeys.generate(), "listener": CurveKeys.generate()]
        let peers = keys.map { peer, keys in
            BusPeer(
                name: "\(name)-\(peer)", publicKey: keys.publicKey,
                publishEndpoints: ["ipc://\(folder)/\(peer).pub"], letterboxEndpoints: ["ipc://\(folder)/\(peer).pull"])
        }
        func configuration(_ who: String) throws -> BusConfiguration {
            BusConfiguration(
                name: "\(name)-\(who)", schema: "\(name)_\(who)",
                database: PostgresConfiguration(
                    url: testDatabase ?? "", applicationName: who, schema: "\(name)_\(who)"),
                ring: KeyRing(own: try #require(keys[who]), peers: peers),
                publishEndpoint: "ipc://\(folder)/\(who).pub", letterboxEndpoint: "ipc://\(folder)/\(who).pull")
        }
        talker = try configuration("talker")
        listener = try configuration("listener")
        pool = PostgresPool(talker.database)
        for one in [talker, listener] {
            try await pool.query("CREATE SCHEMA \(one.schema)")
            let own = PostgresPool(one.database)
            _ = try await Migrator(
                schema: one.schema, EventBus.migrations, checksum: { hex(sha256(Array($0.utf8))) }
            ).migrate(own)
            try await own.query("CREATE TABLE effect (number int, key text, place bigserial)")
            await own.close()
        }
    }

    /// The listener's stream of what the talker says.
    var stream: String { StreamName(publisher: talker.name).description }

    func bus(
        _ configuration: BusConfiguration, _ subscriptions: [StreamName: EventHandlers] = [:],
        snapshot: EventBus.Snapshot? = nil
    ) throws -> EventBus {
        var log = Logger(label: configuration.name)
        log.logLevel = .critical
        return EventBus(
            configuration, context: zeromq, authenticator: try authenticator.get(), log: log,
            subscriptions: subscriptions, snapshot: snapshot)
    }

    /// A listener that writes down what it hears; 13 is refused for good, as is everything while `broken` says so.
    func hearing(broken: @escaping @Sendable () -> Bool = { false }) -> [StreamName: EventHandlers] {
        var handlers = EventHandlers()
        handlers.on(Said.self) { said, event, transaction in
            defer { news.poke() }
            transaction.afterCommit { news.poke() }
            if said.number == 13 { throw Parked("thirteen is not taken") }
            if broken() { throw PostgresError.disconnected("for now") }
            try await transaction.query(
                "INSERT INTO effect (number, key) VALUES ($1, $2)", [.int(said.number), .text(event.key)])
        }
        return [StreamName(publisher: talker.name): handlers]
    }

    func heard() async throws -> [(number: Int, key: String)] {
        try await pool.query("SELECT number, key FROM \(listener.schema).effect ORDER BY place").map {
            (Int(try $0.int("number")), try $0.string("key"))
        }
    }

    /// Looks again at each news; what makes none (a lease taken, an instance ready) is looked for as well.
    func until(_ seconds: Double = 30, _ isTrue: () async throws -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(seconds)
        while try await !isTrue() {
            try #require(ContinuousClock.now < end, "it did not come true within \(seconds) s")
            await news.wait(seconds: 0.05)
        }
    }
}
