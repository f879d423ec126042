import Logging
import Postgres
import Primitives
import Sodium
import Synchronization
import ZeroMQ

/// A service's part of the bus: it says things in its own transactions, and takes what others say, each exactly
/// once in effect. See `deploy/decisions` and the promise at the top of ARCHITECTURE.md.
public final class EventBus: Sendable {
    public let name: String
    public let pool: PostgresPool
    private let configuration: BusConfiguration
    private let context: ZeroMQContext
    private let authenticator: Authenticator
    private let log: Logger
    private let stamper: Stamper
    private let thread: BusThread
    private let recent: RecentEvents
    private let router: Router
    private let subscribers: [Subscriber]
    private let doorsOpen = Mutex(false)

    /// The tables every service needs; its own migrations follow with higher numbers.
    public static var migration: Migration {
        Migration(1, "V001_bus.sql", PackageResources.V001_bus_sql)
    }

    /// - Parameter subscriptions: what is done with each stream this service takes.
    public init(
        _ configuration: BusConfiguration, context: ZeroMQContext, authenticator: Authenticator,
        log: Logger, subscriptions: [StreamName: EventHandlers]
    ) {
        var configuration = configuration
        configuration.subscribed = Set(subscriptions.keys.map(\.publisher))
        name = configuration.name
        self.configuration = configuration
        self.context = context
        self.authenticator = authenticator
        self.log = log
        let pool = PostgresPool(configuration.database)
        self.pool = pool
        let recent = RecentEvents()
        self.recent = recent
        let router = Router(name: configuration.name)
        self.router = router
        let publisher = Publisher(name: configuration.name, recent: recent)
        let stamper = Stamper(
            schema: configuration.schema,
            streams: [configuration.name] + configuration.commandTargets.map { "cmd.\($0)" },
            configuration: configuration.database, log: log,
            publish: { head, before, entries in publisher.publish(head, before, entries) })
        self.stamper = stamper
        let lease = stamper.lease
        let thread = BusThread(
            configuration, log: log, heads: { lease.heads },
            deliver: { inbound, peer in router.deliver(inbound, from: peer) })
        self.thread = thread
        publisher.attach(thread)
        let source = configuration.name
        subscribers = subscriptions.map { stream, handlers in
            Subscriber(
                name: source, stream: stream,
                applier: Applier(
                    stream: stream, handlers: handlers,
                    transaction: { durability, body in
                        try await Self.transaction(pool, source, stamper, durability, body)
                    }),
                pool: pool, log: log, post: { thread.post($0) })
        }
        router.attach(subscribers)
    }

    /// Runs `body` in a transaction; the events it emits are written last and published after they are numbered.
    public func transaction<Value: Sendable>(
        _ durability: Durability = .flushed,
        _ body: @escaping @Sendable (EventTransaction) async throws -> Value
    ) async throws -> Value {
        try await Self.transaction(pool, name, stamper, durability, body)
    }

    private static func transaction<Value: Sendable>(
        _ pool: PostgresPool, _ source: String, _ stamper: Stamper, _ durability: Durability,
        _ body: @Sendable (EventTransaction) async throws -> Value
    ) async throws -> Value {
        let (value, done, spoke) = try await pool.transaction(durability) { inner in
            let transaction = EventTransaction(inner, source: source)
            let value = try await body(transaction)
            return (value, transaction, try await !transaction.writeEvents().isEmpty)
        }
        if spoke { stamper.poke() }
        done.runHooks()
        return value
    }

    /// Runs until cancelled. Binds the doors only while it leads its schema.
    public func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.stamper.run() }
            group.addTask {
                while self.stamper.lease.missing != nil {
                    try await Task.sleep(for: .milliseconds(20))
                }
                try await self.start()
                await withTaskGroup(of: Void.self) { streams in
                    for subscriber in self.subscribers { streams.addTask { await subscriber.run() } }
                    streams.addTask { await self.serveLetters() }
                }
            }
            defer { thread.post(.stop) }
            try await group.next()
            group.cancelAll()
        }
    }

    /// A door may still be held by a predecessor that is dying.
    private func start() async throws {
        var attempts = 0
        while true {
            do {
                try thread.start(context, authenticator)
                doorsOpen.withLock { $0 = true }
                return
            } catch let error as ZeroMQError {
                attempts += 1
                guard attempts < 50 else { throw error }
                try await Task.sleep(for: .milliseconds(200))
            }
        }
    }

    private func serveLetters() async {
        let reader = PageReader(pool: pool, recent: recent, lease: stamper.lease, name: name)
        while !Task.isCancelled {
            for (letter, peer) in await router.letters.next(seconds: 5) {
                do {
                    if let answer = try await answer(letter, peer, reader) {
                        thread.post(.letter(to: peer, answer))
                    }
                } catch {
                    log.debug("a letter was not answered", metadata: ["reason": "\(error)"])
                }
            }
        }
    }

    /// A command stream is shown to its target alone.
    private func answer(_ letter: Inbound, _ peer: String, _ reader: PageReader) async throws
        -> [[UInt8]]?
    {
        func mayRead(_ stream: String) -> Bool { stream == name || stream == "cmd.\(peer)" }
        switch letter {
        case .hello(let hello) where mayRead(hello.stream):
            return try await reader.welcome(hello).map { try Wire.letter("WELCOME", $0) }
        case .pullPage(let request) where mayRead(request.stream):
            return try await reader.page(request).map {
                try Wire.letter("PAGE", $0.header, $0.bodies)
            }
        default: return nil
        }
    }

    // MARK: seeing it

    /// Nil when this instance leads; else what it waits for.
    public var missing: String? {
        stamper.lease.missing ?? (doorsOpen.withLock { $0 } ? nil : "the bus's doors are being opened")
    }
    public var counters: BusCounters { thread.counts }
    public var subscriptions: [SubscriptionStatus] {
        subscribers.map(\.status).sorted { $0.name < $1.name }
    }
    /// Highest number of each of this service's own streams.
    public var heads: [String: Int64] {
        Dictionary(
            stamper.lease.heads.map { ("\($0.stream)/\($0.lane.rawValue)", $0.seq) }
        ) { $1 }
    }
}
