import Logging
import Postgres
import Primitives
import Synchronization

/// Answers what subscribers write to this service's letterbox: where they are, what they miss, what they kept for us.
final class LetterDesk: Sendable {
    /// Says the service's present state as events; how many.
    typealias Snapshot = @Sendable (_ asOf: Int64) async throws -> Int

    private let name: String
    private let pool: PostgresPool
    private let lease: LeaseState
    private let reader: PageReader
    private let copies: CopyDesk
    private let snapshot: Snapshot?
    private let log: Logger
    private let positions = Mutex<[Position.Place: Position]>([:])
    /// Who has said his place since it was last written down.
    private let heard = Mutex<Set<Position.Place>>([])
    /// The last answer to each asker's wish for a snapshot: asked again, it is said again and not made again.
    private let snapshots = Mutex<[String: (at: ContinuousClock.Instant, answer: Control)]>([:])
    /// Askers whose snapshot is being said.
    private let underWay = Mutex<Set<String>>([])

    /// Seconds between writing down where subscribers are.
    static let positionPause = 30.0
    /// Seconds in which a repeated wish for a snapshot is the same one.
    static let snapshotPatience = 60.0

    init(
        name: String, pool: PostgresPool, lease: LeaseState, recent: RecentEvents, copies: CopyDesk,
        snapshot: Snapshot?, log: Logger
    ) {
        self.name = name
        self.pool = pool
        self.lease = lease
        self.copies = copies
        self.snapshot = snapshot
        self.log = log
        reader = PageReader(pool: pool, recent: recent, lease: lease, name: name)
    }

    /// Serves until cancelled.
    func serve(_ letters: InputQueue<(Inbound, String)>, _ post: @escaping @Sendable (BusThread.Command) -> Void) async
    {
        await withDiscardingTaskGroup { group in
            await readPositions()
            var written = ContinuousClock.now
            while !Task.isCancelled {
                for (letter, peer) in PublisherDecisions.newestQuestions(await letters.next(seconds: 5)) {
                    // The state of a large service takes minutes to say: nobody else's question waits for it.
                    if case .control(let wish, _) = letter, wish.what == .snapshot {
                        if mayRead(wish.stream, peer) { group.addTask { await self.sayState(wish, peer, post) } }
                        continue
                    }
                    do {
                        if let answer = try await answer(letter, peer) { post(.letter(to: peer, answer)) }
                    } catch {
                        log.log(
                            level: (error as? PostgresError)?.isTransient == true ? .debug : .warning,
                            "a letter was not answered", metadata: ["peer": "\(peer)", "reason": "\(error)"])
                    }
                }
                if ContinuousClock.now - written > .seconds(Self.positionPause) {
                    written = .now
                    await writePositions()
                }
            }
        }
    }

    /// One at a time for each asker, who asks again until he is answered.
    private func sayState(_ wish: Control, _ peer: String, _ post: @Sendable (BusThread.Command) -> Void) async {
        let asker = "\(peer)/\(wish.stream)/\(wish.lane)"
        guard underWay.withLock({ $0.insert(asker).inserted }) else { return }
        defer { _ = underWay.withLock { $0.remove(asker) } }
        guard let answer = await beginSnapshot(wish, peer) else { return }
        do { post(.letter(to: peer, try Wire.letter("CTL", answer))) } catch {
            log.warning("a letter was not answered", metadata: ["peer": "\(peer)", "reason": "\(error)"])
        }
    }

    /// A command stream is shown to its target alone.
    private func mayRead(_ stream: String, _ peer: String) -> Bool { stream == name || stream == "cmd.\(peer)" }

    private func answer(_ letter: Inbound, _ peer: String) async throws -> [[UInt8]]? {
        func mayRead(_ stream: String) -> Bool { self.mayRead(stream, peer) }
        switch letter {
        case .hello(let hello) where mayRead(hello.stream):
            return try await reader.welcome(hello).map { try Wire.letter("WELCOME", $0) }
        case .pullPage(let request) where mayRead(request.stream):
            return try await reader.page(request).map { try Wire.letter("PAGE", $0.header, $0.bodies) }
        case .position(let position) where mayRead(position.stream):
            positions.withLock { $0[position.place] = position }
            _ = heard.withLock { $0.insert(position.place) }
            return nil
        case .control(let control, let bodies) where mayRead(control.stream):
            guard control.what == .copies else { return nil }
            return try await copies.take(control, bodies, from: peer).map { try Wire.letter("CTL", $0) }
        default: return nil
        }
    }

    private func beginSnapshot(_ wish: Control, _ peer: String) async -> Control? {
        let known = snapshots.withLock { $0["\(peer)/\(wish.stream)/\(wish.lane)"] }
        if let known, ContinuousClock.now - known.at < .seconds(Self.snapshotPatience) { return known.answer }
        guard let snapshot else {
            return Control(
                from: name, stream: wish.stream, lane: wish.lane, what: .refused, seq: 0,
                reason: "\(name) cannot say its state as events")
        }
        // Where the log stands before the state is read: whatever happens meanwhile comes after it.
        guard lease.missing == nil, let head = lease.head(wish.stream, wish.lane) else { return nil }
        let answer = Control(
            from: name, stream: wish.stream, lane: wish.lane, what: .snapshotting, seq: head.seq, link: head.link,
            epoch: head.epoch)
        do {
            let count = try await snapshot(head.seq)
            try await pool.run([
                BusDecision.record(
                    by: peer, "snapshot", head.sequence, reason: "\(peer) is below the oldest kept event",
                    outcome: "\(count) states were said after #\(head.seq)")
            ])
        } catch {
            log.error("a snapshot failed", metadata: ["reason": "\(error)"])
            return nil
        }
        snapshots.withLock { $0["\(peer)/\(wish.stream)/\(wish.lane)"] = (.now, answer) }
        return answer
    }

    /// Where subscribers are, as they last said.
    var places: [Position] { positions.withLock { Array($0.values) } }

    /// Those who are away since before this process began are known as well.
    private func readPositions() async {
        let rows = try? await pool.query("SELECT subscriber, stream, lane, seq FROM subscriber_position")
        let known = rows?.compactMap { row -> Position? in
            guard let lane = Lane(rawValue: (try? row.string("lane")) ?? "") else { return nil }
            return try? Position(
                from: row.string("subscriber"), stream: row.string("stream"), lane: lane, seq: row.int("seq"))
        }
        positions.withLock { positions in
            for one in known ?? [] where positions[one.place] == nil { positions[one.place] = one }
        }
    }

    private func writePositions() async {
        let fresh = heard.withLock { heard in
            defer { heard = [] }
            return heard
        }
        let said = places.filter { fresh.contains($0.place) }
        guard !said.isEmpty, lease.missing == nil else { return }
        _ = try? await pool.transaction(.relaxed) { transaction in
            try await transaction.query(
                """
                INSERT INTO subscriber_position AS p (subscriber, stream, lane, seq)
                SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
                ON CONFLICT (subscriber, stream, lane) DO UPDATE SET seq = excluded.seq, heard_at = now()
                """,
                [
                    .texts(said.map(\.from)), .texts(said.map(\.stream)), .texts(said.map(\.lane.rawValue)),
                    .ints(said.map(\.seq)),
                ])
        }
    }
}

extension Position {
    struct Place: Hashable, Sendable {
        let from, stream: String
        let lane: Lane
    }
    var place: Place { Place(from: from, stream: stream, lane: lane) }
}
