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
    private let router: Router
    private let subscribers: [Subscriber]
    private let keeper: LogKeeper
    private let copies: CopyDesk
    private let desk: LetterDesk
    public let replays: ReplayDesk
    private let doorsOpen = Mutex(false)

    /// The tables every service needs, of numbers 1 and from 101 on; its own migrations have numbers from 3 to 99.
    public static var migrations: [Migration] {
        [
            Migration(1, "V001_bus.sql", PackageResources.V001_bus_sql),
            Migration(101, "V101_bus_custody.sql", PackageResources.V101_bus_custody_sql),
            Migration(102, "V102_parked_by_event.sql", PackageResources.V102_parked_by_event_sql),
            Migration(103, "V103_leaner_log.sql", PackageResources.V103_leaner_log_sql),
            Migration(104, "V104_copies_in_runs.sql", PackageResources.V104_copies_in_runs_sql),
            Migration(105, "V105_replay_attempts.sql", PackageResources.V105_replay_attempts_sql),
            Migration(106, "V106_retaken.sql", PackageResources.V106_retaken_sql),
        ]
    }

    /// - Parameters:
    ///   - subscriptions: what is done with each stream this service takes, on both lanes.
    ///   - snapshot: says the service's present state as events, for a subscriber that has lost its history; how many.
    public init(
        _ configuration: BusConfiguration, context: ZeroMQContext, authenticator: Authenticator,
        log: Logger, subscriptions: [StreamName: EventHandlers],
        snapshot: Snapshot? = nil
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
        let router = Router(name: configuration.name)
        self.router = router
        let publisher = Publisher(name: configuration.name, recent: recent)
        keeper = LogKeeper(
            name: configuration.name, policy: configuration.retention, signing: configuration.signing, log: log)
        let stamper = Stamper(
            configuration, log: log, keeper: keeper,
            leads: { recent.clear() },
            publish: { head, before, entries in publisher.publish(head, before, entries) })
        self.stamper = stamper
        let lease = stamper.lease
        let watch = HandlingWatch()
        let thread = BusThread(
            configuration, log: log, heads: { lease.heads },
            deliver: { inbound, peer in router.deliver(inbound, from: peer) },
            beat: { watch.endIfStuck(log) })
        self.thread = thread
        publisher.attach(thread)
        let (source, checkpoint, isDiskLow) = (configuration.name, configuration.checkpoint, configuration.isDiskLow)
        let speak: Speaking = { durability, body in
            try await Self.transaction(pool, source, stamper, durability, body)
        }
        var handlers: [StreamName: EventHandlers] = [:]
        for (stream, what) in subscriptions {
            for lane in Lane.allCases {
                handlers[StreamName(publisher: stream.publisher, stream: stream.stream, lane: lane)] = what
            }
        }
        subscribers = handlers.map { stream, handlers in
            Subscriber(
                name: source, stream: stream,
                applier: Applier(stream: stream, handlers: handlers, checkpoint: checkpoint, transaction: speak),
                pool: pool, log: log, checkpoint: checkpoint, watch: watch, isDiskLow: isDiskLow,
                turns: { lease.turns },
                post: { thread.post($0) })
        }
        replays = ReplayDesk(name: source, pool: pool, handlers: handlers, watch: watch, transaction: speak)
        copies = CopyDesk(name: source, pool: pool) { stamper.poke($0) }
        desk = LetterDesk(
            name: source, pool: pool, lease: lease, recent: recent, copies: copies,
            snapshot: snapshot.map { snapshot -> LetterDesk.Snapshot in { try await snapshot($0, speak) } }, log: log)
        router.attach(subscribers)
    }

    /// Events whose numbers stand in one row of `event_run` at most.
    public static let runLimit = StampingTick.limit

    /// Says the present state as events, as of a number of the stream; how many.
    public typealias Snapshot = @Sendable (_ asOf: Int64, @escaping Speaking) async throws -> Int

    /// Runs a body in a transaction that may say events, and commits.
    public typealias Speaking =
        @Sendable (Durability, @escaping @Sendable (EventTransaction) async throws -> Void) async throws -> Void

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
        let (value, done, drafts) = try await pool.transaction(durability) { inner in
            let transaction = EventTransaction(inner, source: source)
            let value = try await body(transaction)
            return (value, transaction, try await transaction.finish(stamper.written))
        }
        if !drafts.isEmpty { stamper.poke(Set(drafts.map(\.sequence))) }
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
                    streams.addTask { await self.replays.run(self.log) }
                    streams.addTask { await self.followKeys() }
                    streams.addTask { await self.desk.serve(self.router.letters) { self.thread.post($0) } }
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

    /// Seconds between looks whether keys have changed.
    private static let keyPause = 2.0

    private func followKeys() async {
        var ring = configuration.ring
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(Self.keyPause))
            guard let now = configuration.reload(), now != ring else { continue }
            ring = now
            log.notice("keys have changed: every connection is made anew")
            thread.post(.rekey(now))
        }
    }

    // MARK: a person's word

    /// Carries out a decision about a stream that this service takes.
    ///
    /// - Parameter name: publisher, stream and lane, as in the status.
    /// - Throws: ``DecisionRefused``, ``NoSuchStream``.
    public func decide(_ decision: StreamDecision, stream name: String, by: String, reason: String) async throws {
        guard let subscriber = subscribers.first(where: { $0.stream.description == name }) else {
            throw NoSuchStream(name: name)
        }
        try await subscriber.decide(decision, by: by, reason: reason)
    }

    /// Lets a subscriber refill this service's log with its copies, for ten minutes.
    public func allowCopies(from subscriber: String, by: String, reason: String) async throws {
        try await copies.allow(subscriber, by: by, reason: reason)
    }

    /// Returns once this instance leads and its doors are open.
    public func untilLeading() async throws {
        while missing != nil { try await Task.sleep(for: .milliseconds(20)) }
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
    public var streamHeads: [StreamHeadView] {
        stamper.lease.heads.map {
            StreamHeadView(name: $0.sequence, epoch: $0.epoch, term: $0.term, seq: $0.seq, oldest: $0.oldest)
        }.sorted { $0.name < $1.name }
    }
    /// Who takes what this service says, as they last told since it leads.
    public var subscriberPlaces: [SubscriberPlace] {
        desk.places.map { place in
            let head = stamper.lease.head(place.stream, place.lane)?.seq ?? place.seq
            return SubscriberPlace(
                subscriber: place.from, stream: place.stream, lane: place.lane, seq: place.seq,
                behind: max(0, head - place.seq))
        }.sorted { ($0.subscriber, $0.stream, $0.lane.rawValue) < ($1.subscriber, $1.stream, $1.lane.rawValue) }
    }
    /// Connections with a key that has no business here.
    public var strangersRefused: Int { authenticator.refusals[BusConfiguration.domain] ?? 0 }

    /// What was decided about this service's part of the bus, newest first.
    public func decisions(limit: Int) async throws -> [BusDecision] { try await BusDecision.list(pool, limit: limit) }

    /// What stands against the log's policy, in words, by sequence.
    public var logAlarms: [String: String] { keeper.alarms }
    /// Highest number of each of this service's own streams.
    public var heads: [String: Int64] {
        Dictionary(
            stamper.lease.heads.map { ("\($0.stream)/\($0.lane.rawValue)", $0.seq) }
        ) { $1 }
    }
}

public struct NoSuchStream: Error, CustomStringConvertible {
    let name: String
    public var description: String { "no stream «\(name)» is taken here" }
}

/// A sequence of this service's own.
public struct StreamHeadView: Codable, Sendable {
    public let name: String
    public let epoch, term, seq, oldest: Int64
}

/// How far a subscriber is in a sequence of ours.
public struct SubscriberPlace: Codable, Sendable {
    public let subscriber, stream: String
    public let lane: Lane
    public let seq, behind: Int64
}
