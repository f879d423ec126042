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

private let database = ProcessInfo.processInfo.environment["THROUGHLINE_TEST_DATABASE"]

private struct Said: EventContract, Equatable {
    static let type = "test.said.v1"
    let number: Int
}

/// The process's one context and ZAP handler.
private let zeromq = ZeroMQContext()
private let authenticator = Result { try Authenticator(zeromq) }

/// Two services on a real bus: sockets, PostgreSQL and all. Each test has schemas of its own.
private struct Pair {
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
                    url: database ?? "", applicationName: who, schema: "\(name)_\(who)"),
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

    func bus(_ configuration: BusConfiguration, _ subscriptions: [StreamName: EventHandlers] = [:]) throws -> EventBus {
        var log = Logger(label: configuration.name)
        log.logLevel = .critical
        return EventBus(
            configuration, context: zeromq, authenticator: try authenticator.get(), log: log,
            subscriptions: subscriptions)
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

@Suite(.serialized, .enabled(if: database != nil, "THROUGHLINE_TEST_DATABASE is not set: run deploy/test"))
struct EventBusTests {
    private func say(_ numbers: some Sequence<Int>, _ bus: EventBus, key: String = "k") async throws {
        for number in numbers {
            _ = try await bus.transaction { transaction in
                try transaction.emit(Said(number: number), key: key, correlation: nil, causation: nil)
            }
        }
    }

    @Test func whatWasSaidIsHeardOnceAndInOrderAlsoByOneWhoComesLate() async throws {
        let pair = try await Pair()
        let talker = try pair.bus(pair.talker)
        let talking = Task { try await talker.run() }
        try await pair.until { talker.missing == nil }
        try await say(100..<200, talker)
        let listener = try pair.bus(pair.listener, pair.hearing())
        let listening = Task { try await listener.run() }
        try await say(200..<300, talker)
        try await pair.until { try await pair.heard().count >= 200 }
        #expect(try await pair.heard().map(\.number) == Array(100..<300))
        talking.cancel()
        listening.cancel()
    }

    @Test func manyWritersAtOnceLeaveNoGapAndEachKeyInOrder() async throws {
        let pair = try await Pair()
        let talker = try pair.bus(pair.talker)
        let listener = try pair.bus(pair.listener, pair.hearing())
        let running = [Task { try await talker.run() }, Task { try await listener.run() }]
        try await pair.until { talker.missing == nil && listener.missing == nil }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<6 {
                group.addTask {
                    try await say(writer * 1000 + 100..<writer * 1000 + 160, talker, key: "writer-\(writer)")
                }
            }
            try await group.waitForAll()
        }
        try await pair.until { try await pair.heard().count >= 360 }
        let heard = try await pair.heard()
        #expect(heard.count == 360 && Set(heard.map(\.number)).count == 360)
        for (_, numbers) in Dictionary(grouping: heard, by: \.key) {
            #expect(numbers.map(\.number) == numbers.map(\.number).sorted())
        }
        let numbered = try await pair.pool.query(
            "SELECT min(seq) AS first, max(seq) AS last, count(*) AS n FROM \(pair.talker.schema).event_no")[0]
        #expect(try numbered.int("first") == 1 && numbered.int("last") == 360 && numbered.int("n") == 360)
        for task in running { task.cancel() }
    }

    @Test func whatCannotBeDoneIsParkedAndOnlyItsKeyWaitsBehindIt() async throws {
        let pair = try await Pair()
        let talker = try pair.bus(pair.talker)
        let listener = try pair.bus(pair.listener, pair.hearing())
        let running = [Task { try await talker.run() }, Task { try await listener.run() }]
        try await pair.until { talker.missing == nil && listener.missing == nil }
        try await say([1, 13, 2], talker, key: "unlucky")
        try await say([3, 4], talker, key: "other")
        try await pair.until { try await pair.heard().count == 3 }
        #expect(try await pair.heard().map(\.number) == [1, 3, 4])
        let parked = try await pair.pool.query(
            "SELECT seq, reason, behind FROM \(pair.listener.schema).parked ORDER BY seq")
        #expect(parked.count == 2)
        #expect(try parked[0].string("reason").contains("thirteen") && parked[0].bool("behind") == false)
        #expect(try parked[1].int("seq") == 3 && parked[1].bool("behind"))
        for task in running { task.cancel() }
    }

    @Test func aPassingFailureIsTriedAgainUntilItPasses() async throws {
        let pair = try await Pair()
        let talker = try pair.bus(pair.talker)
        let broken = Box(isBroken: true)
        let listener = try pair.bus(pair.listener, pair.hearing { broken.value })
        let running = [Task { try await talker.run() }, Task { try await listener.run() }]
        try await pair.until { talker.missing == nil && listener.missing == nil }
        try await say([1, 2, 3], talker)
        try await pair.until { broken.asked > 3 }
        #expect(try await pair.heard().isEmpty)
        broken.mend()
        try await pair.until { try await pair.heard().count == 3 }
        #expect(try await pair.pool.query("SELECT 1 AS one FROM \(pair.listener.schema).parked").isEmpty)
        for task in running { task.cancel() }
    }

    @Test func aSecondInstanceStandsByAndTakesOver() async throws {
        let pair = try await Pair()
        let first = try pair.bus(pair.talker)
        let leading = Task { try await first.run() }
        try await pair.until { first.missing == nil }
        let second = try pair.bus(pair.talker)
        let standby = Task { try await second.run() }
        try await pair.until { second.missing?.contains("lease") == true }
        leading.cancel()
        try await pair.until(10) { second.missing == nil }
        let listener = try pair.bus(pair.listener, pair.hearing())
        let listening = Task { try await listener.run() }
        try await say([1], second)
        try await pair.until { try await pair.heard().count == 1 }
        standby.cancel()
        listening.cancel()
    }
}

/// Whether a handler fails now, and how often it was asked.
private final class Box: Sendable {
    private let state: Mutex<(isBroken: Bool, asked: Int)>
    init(isBroken: Bool) { state = Mutex((isBroken, 0)) }
    var value: Bool {
        state.withLock { state in
            state.asked += 1
            return state.isBroken
        }
    }
    var asked: Int { state.withLock { $0.asked } }
    func mend() { state.withLock { $0.isBroken = false } }
}
