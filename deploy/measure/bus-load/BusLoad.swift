import ArgumentParser
import Contracts
import Dispatch
import FoundationEssentials
import Glibc
import Logging
import Messaging
import Postgres
import Primitives
import Sodium
import Synchronization
import ZeroMQ

/// A publisher and subscribers on a real bus, each with a ledger of its own: for measuring it, and for breaking it. The ledgers
/// tell what was said and what was done; nothing else is needed to see what was lost, doubled or put out of order.
@main struct BusLoad: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bus-load", abstract: "Load a bus, and write down what was said and done.",
        subcommands: [Keys.self, Publish.self, Subscribe.self])
}

/// One event of the load.
struct Loaded: EventContract, Codable {
    static let type = "load.said.v1"
    /// Its number within the load, from 0.
    let number: Int
    /// Nanoseconds of the machine's monotonic clock when its transaction began.
    let begunAt: UInt64
    let filler: String
}

struct Place: ParsableArguments {
    @Option(help: "Folder of the sockets and keys.") var folder: String
    @Option(help: "URL of a database in which schemas may be made.") var database = ""
    @Option(help: "Subscribers that there are.") var subscribers = 1
    @Option(help: "Name of the moment at which the process kills itself, and at which time it comes: stamped:3.")
    var dieAt: String?
    @Option(help: "HOST:PORT of each member, with commas, for tcp: its doors are at PORT and PORT + 1. Else ipc.")
    var tcp: String?
    @Option(help: "Days that the log is kept.") var days = 90

    func keys(_ name: String) throws -> CurveKeys {
        let secret = String(decoding: try Data(contentsOf: URL(filePath: "\(folder)/\(name).secret")), as: UTF8.self)
        guard let keys = CurveKeys(secretKey: secret) else { throw ValidationError("\(name).secret is damaged") }
        return keys
    }

    var names: [String] { ["load-p"] + (1...max(1, subscribers)).map { "load-s\($0)" } }

    func ring(_ name: String) throws -> KeyRing {
        let peers = try names.map { peer in
            BusPeer(
                name: peer, publicKey: try keys(peer).publicKey, publishEndpoints: [endpoint(peer, "pub", bind: false)],
                letterboxEndpoints: [endpoint(peer, "pull", bind: false)])
        }
        return KeyRing(own: try keys(name), peers: peers)
    }

    private func endpoint(_ name: String, _ door: String, bind: Bool) -> String {
        guard let tcp, let index = names.firstIndex(of: name) else { return "ipc://\(folder)/\(name).\(door)" }
        let places = tcp.split(separator: ",")
        let parts = places[min(index, places.count - 1)].split(separator: ":")
        let port = (Int(parts[1]) ?? 0) + (door == "pub" ? 0 : 1)
        return "tcp://\(bind ? "0.0.0.0" : String(parts[0])):\(port)"
    }

    func bus(_ name: String, _ subscriptions: [StreamName: EventHandlers] = [:]) async throws -> EventBus {
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = .warning
            return handler
        }
        let schema = name.replacing("-", with: "_")
        let own = PostgresConfiguration(url: database, applicationName: name, schema: schema)
        let maker = PostgresPool(PostgresConfiguration(url: database, applicationName: name))
        try await maker.query("CREATE SCHEMA IF NOT EXISTS \(schema)")
        await maker.close()
        let pool = PostgresPool(own)
        _ = try await Migrator(schema: schema, EventBus.migrations, checksum: { hex(sha256(Array($0.utf8))) }).migrate(
            pool)
        try await pool.query(
            "CREATE TABLE IF NOT EXISTS ledger (number bigint NOT NULL, key text NOT NULL, place bigserial)")
        await pool.close()
        var configuration = BusConfiguration(
            name: name, schema: schema, database: own, ring: try ring(name),
            publishEndpoint: endpoint(name, "pub", bind: true), letterboxEndpoint: endpoint(name, "pull", bind: true))
        configuration.retention = RetentionPolicy(days: days, megabytes: 50_000)
        let place = self
        configuration.reload = { try? place.ring(name) }
        configuration.checkpoint = try checkpoint()
        let context = ZeroMQContext()
        return EventBus(
            configuration, context: context, authenticator: try Authenticator(context), log: Logger(label: name),
            subscriptions: subscriptions)
    }

    private func checkpoint() throws -> Checkpoint {
        guard let dieAt else { return .none }
        let parts = dieAt.split(separator: ":")
        guard parts.count == 2, let moment = Checkpoint.Moment(rawValue: String(parts[0])), let time = Int(parts[1])
        else {
            throw ValidationError("--die-at wants MOMENT:TIME")
        }
        let seen = Mutex(0)
        return Checkpoint { now in
            guard now == moment else { return }
            let count = seen.withLock { seen -> Int in
                seen += 1
                return seen
            }
            if count == time { kill(getpid(), SIGKILL) }
        }
    }
}

/// A line of JSON for the one who drives.
func tell(_ fields: [String: RawJSON]) {
    print(RawJSON.object(fields).text)
    fflush(nil)
}

func nanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Runs a bus until SIGTERM, and ends it in order.
func running(_ bus: EventBus, _ body: @escaping @Sendable () async throws -> Void) async throws {
    signal(SIGTERM, SIG_IGN)
    let source = DispatchSource.makeSignalSource(signal: SIGTERM)
    let (ends, end) = AsyncStream.makeStream(of: Void.self)
    source.setEventHandler { end.yield() }
    source.resume()
    let isAsked = try await withThrowingTaskGroup(of: Bool.self) { group in
        group.addTask {
            try await bus.run()
            return false
        }
        group.addTask {
            for await _ in ends { return true }
            return false
        }
        group.addTask {
            try await bus.untilLeading()
            tell(["state": .string("ready"), "at": .double(Double(nanoseconds()))])
            try await body()
            while !Task.isCancelled { try await Task.sleep(for: .seconds(3600)) }
            return false
        }
        let first = try await group.next() ?? false
        group.cancelAll()
        return first
    }
    source.cancel()
    _exit(isAsked ? 0 : 1)
}

struct Keys: AsyncParsableCommand {
    @OptionGroup var place: Place
    @Option(help: "Only this member's key, anew.") var rotate: String?

    func run() async throws {
        for name in rotate.map({ [$0] }) ?? place.names {
            let file = "\(place.folder)/\(name).secret"
            try Data(CurveKeys.generate().secretKey.utf8).write(to: URL(filePath: file + ".new"))
            rename(file + ".new", file)
        }
    }
}
