import Logging
import Postgres
import Primitives
import Synchronization

/// Gives every newly visible event its number and its link in the chain, and only after a durable COMMIT hands it on to be
/// published.
///
/// There is one per schema: it holds the lead and a term, and every stamp runs `WHERE term = mine`. Gap-free, insert-only,
/// without a lock on writers; a long transaction elsewhere holds nothing back (reference messaging 48).
final class Stamper: Sendable {
    typealias Publish = @Sendable (_ head: StreamHead, _ before: Link, [RecentEvents.Entry]) -> Void

    private let leadership: Leadership
    private let streams: [String]
    private let configuration: PostgresConfiguration
    private let log: Logger
    private let keeper: LogKeeper
    private let leads: @Sendable () -> Void
    private let publish: Publish
    private let checkpoint: Checkpoint
    private let signal = Signal()
    private let spoken = Mutex<Set<String>>([])
    let written = WrittenBodies()
    let lease = LeaseState()

    /// Seconds between looks when nobody pokes.
    static let pollPause = 0.25
    /// Events of other sequences that a quiet one leaves behind its snapshot at most.
    static let passedLimit = 10_000

    init(
        _ configuration: BusConfiguration, log: Logger, keeper: LogKeeper, leads: @escaping @Sendable () -> Void,
        publish: @escaping Publish
    ) {
        leadership = Leadership(schema: configuration.schema)
        streams = [configuration.name] + configuration.commandTargets.map { "cmd.\($0)" }
        self.configuration = configuration.database
        self.log = log
        self.keeper = keeper
        self.leads = leads
        self.publish = publish
        checkpoint = configuration.checkpoint
    }

    /// Says that events of these sequences were committed.
    func poke(_ sequences: Set<String>) {
        spoken.withLock { $0.formUnion(sequences) }
        signal.poke()
    }

    /// Runs until cancelled: takes the lease, stamps, and takes it anew when its session was lost.
    ///
    /// - Throws: ``Superseded`` when another instance has led in between.
    func run() async throws {
        var backoff = Backoff(limit: 1)
        var lead = Lead()
        while !Task.isCancelled {
            do {
                try await self.lead(&lead) { backoff.reset() }
            } catch is CancellationError {
                return
            } catch let error as Superseded {
                lease.lose("\(error)")
                throw error
            } catch is LeaseHeldElsewhere {
                lease.lose("\(LeaseHeldElsewhere())")
                try? await Task.sleep(for: .seconds(Leadership.pause))
            } catch {
                lease.lose("\(error)")
                log.warning("stamper paused", metadata: ["reason": "\(error)"])
                try? await Task.sleep(for: .seconds(backoff.next()))
            }
        }
    }

    /// What this instance remembers of its last lead.
    private struct Lead {
        var session: Int32?
        var term: Int64?
        /// The server may need a moment to end our own lost session; after that another one holds the lead.
        var refusals = 0
        /// Terms that were begun and perhaps not finished.
        var opens: Int64 = 0
    }

    private func lead(_ last: inout Lead, _ settled: () -> Void) async throws {
        let connection = try await PostgresConnection(configuration)
        defer { Task { await connection.close() } }
        do { try await leadership.take(connection, ghost: last.session) } catch let error as LeaseHeldElsewhere {
            last.refusals += 1
            if last.term != nil, last.refusals > 3 { throw Superseded() }
            throw error
        }
        let nextKeeping = try await keeper.makePartitions(connection)
        last.opens += 1
        let (heads, news) = try await HeadOpening.open(streams, connection)
        for one in news { log.notice("log rebased", metadata: ["stream": "\(one)"]) }
        let term = heads[0].term
        // Our own attempts that broke off count; a server that lost its last commits may be one behind.
        if let before = last.term, !(before...(before + last.opens)).contains(term) { throw Superseded() }
        last = Lead(session: await connection.backendPID, term: term)
        leads()
        lease.take(heads)
        settled()
        // Its statements look for a few new rows among millions that the statistics know nothing of yet.
        try await connection.run([
            Statement("SET enable_seqscan = off"), Statement("SET enable_bitmapscan = off"),
            Statement("SET plan_cache_mode = force_generic_plan"), Statement("SET jit = off"),
            Statement("SET max_parallel_workers_per_gather = 0"),
        ])
        try await connection.onItsThread { try await stamp(connection, heads, nextKeeping) }
    }

    /// Numbers what is new until cancelled, and keeps the log in order.
    private func stamp(
        _ connection: PostgresConnection, _ opened: [StreamHead], _ keeping: ContinuousClock.Instant
    ) async throws {
        var (heads, nextKeeping) = (opened, keeping)
        var bases = [StampingTick.Basis?](repeating: nil, count: heads.count)
        var nextLook = ContinuousClock.now
        var days = try await StampingTick.EventDay.all(connection)
        var unfinished: Set<String> = []
        // Events numbered in the other sequences since each one last moved: a quiet one would look through all of them, and
        // through all days since then, again and again. So each moves at the beginning too, and with each round of keeping.
        var passed = [Int](repeating: Self.passedLimit + 1, count: heads.count)
        while !Task.isCancelled {
            var wanted = self.spoken.withLock { spoken in
                defer { spoken = [] }
                return spoken
            }
            if nextLook <= .now {
                nextLook = .now + .seconds(Self.pollPause)
                wanted.formUnion(try await unnumbered(connection))
            }
            wanted.formUnion(unfinished)
            unfinished = []
            // One tick each, in turn: a mass on `bulk` must not keep `main` waiting.
            for index in heads.indices where wanted.contains(heads[index].sequence) || passed[index] > Self.passedLimit
            {
                let before = heads[index].seq
                let isStale = passed[index] > Self.passedLimit
                if try await tick(connection, &heads[index], days, &bases[index], isStale) {
                    unfinished.insert(heads[index].sequence)
                }
                let count = Int(heads[index].seq - before)
                if count > 0 || isStale { passed[index] = 0 }
                for other in heads.indices where other != index { passed[other] += count }
            }
            if nextKeeping < .now {
                nextKeeping = try await keeper.keep(connection, &heads, isCaughtUp: unfinished.isEmpty)
                days = try await StampingTick.EventDay.all(connection)
                passed = passed.map { _ in Self.passedLimit + 1 }
                lease.take(heads)
            }
            if keeper.isSealing { try await keeper.followOn(connection, heads) }
            if unfinished.isEmpty, !keeper.isSealing { await signal.wait(seconds: Self.pollPause) }
        }
    }

    /// Sequences in which something visible waits for its number: one question for all of them, without a lock and without a
    /// transaction number. Scalar subqueries, which the planner cannot turn into a join over the whole table, in the index's
    /// order, or it would gather everything that may be new for the sake of one row; on the days that can hold some, or it would
    /// ask each kept day four times a second.
    private func unnumbered(_ connection: PostgresConnection) async throws -> Set<String> {
        let rows = try await connection.query(
            """
            SELECT h.stream || '/' || h.lane AS sequence FROM stream_head AS h
            WHERE h.target IS NOT NULL
                OR (SELECT 1 FROM event AS e WHERE e.stream = h.stream AND e.lane = h.lane AND e.id + 0 > h.rebased_id
                        AND e.day >= least(h.ticked_day, (now() AT TIME ZONE 'UTC')::date) - 1
                        AND e.xid >= pg_snapshot_xmax(h.snapshot) ORDER BY e.xid LIMIT 1) IS NOT NULL
                OR (SELECT 1 FROM event AS e WHERE e.stream = h.stream AND e.lane = h.lane AND e.id + 0 > h.rebased_id
                        AND e.day >= least(h.ticked_day, (now() AT TIME ZONE 'UTC')::date) - 1
                        AND e.xid = ANY (ARRAY(SELECT pg_snapshot_xip(h.snapshot))) LIMIT 1) IS NOT NULL
            """)
        return Set(try rows.map { try $0.string("sequence") })
    }

    /// Numbers a part of what is new. True when there may be more.
    private func tick(
        _ connection: PostgresConnection, _ head: inout StreamHead, _ days: [StampingTick.EventDay],
        _ basis: inout StampingTick.Basis?, _ isStale: Bool
    ) async throws -> Bool {
        let (before, known) = (head, basis)
        let (stamped, next) = try await connection.transaction { transaction in
            try await StampingTick.run(transaction, before, days, known, written, isStale: isStale)
        }
        basis = next
        guard let stamped, !stamped.entries.isEmpty else { return false }
        checkpoint(.stamped)
        head = stamped.head
        lease.move(head)
        publish(head, before.link, stamped.entries)
        checkpoint(.published)
        return !stamped.isComplete
    }
}
