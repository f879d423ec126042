import Postgres
import Primitives
import Sodium

/// A leader opens its sequences: it takes the next term in each, and finds out whether the log was brought here from another
/// database cluster by dump and restore.
enum HeadOpening {
    /// Also what was found, in words.
    static func open(_ streams: [String], _ connection: PostgresConnection) async throws -> ([StreamHead], [String]) {
        var heads: [StreamHead] = []
        var news: [String] = []
        for stream in streams {
            for lane in Lane.allCases {
                let (head, found) = try await connection.transaction { transaction in
                    try await open(stream, lane, transaction)
                }
                heads.append(head)
                if let found { news.append(found) }
            }
        }
        return (heads, news)
    }

    private static func open(_ stream: String, _ lane: Lane, _ transaction: Transaction) async throws -> (
        StreamHead, String?
    ) {
        let name: [Parameter] = [.text(stream), .text(lane.rawValue)]
        let answers = try await transaction.run([
            Statement(
                """
                INSERT INTO stream_head AS h (stream, lane, term, system_identifier)
                VALUES ($1, $2, 1, (SELECT system_identifier FROM pg_control_system()))
                ON CONFLICT (stream, lane) DO UPDATE SET term = h.term + 1
                RETURNING epoch, term, seq, link,
                    coalesce(system_identifier <> (SELECT system_identifier FROM pg_control_system()), false)
                    OR pg_snapshot_xmax(snapshot)::text::numeric > pg_snapshot_xmax(pg_current_snapshot())::text::numeric
                    AS is_foreign
                """, name),
            Statement("SELECT min(first) AS oldest FROM day_range WHERE stream = $1 AND lane = $2", name),
        ])
        let row = answers[0][0]
        var head = StreamHead(
            stream: stream, lane: lane, epoch: try row.int("epoch"), term: try row.int("term"),
            seq: try row.int("seq"), link: Link(try row.bytes("link")) ?? .zero,
            oldest: try answers[1][0].optionalInt("oldest") ?? (try row.int("seq") + 1))
        guard try row.bool("is_foreign") else {
            try await transaction.query(
                """
                UPDATE stream_head SET system_identifier = (SELECT system_identifier FROM pg_control_system())
                WHERE stream = $1 AND lane = $2 AND system_identifier IS NULL
                """, name)
            return (head, nil)
        }
        let count = try await rebase(&head, transaction)
        return (head, "\(stream)/\(lane.rawValue) came from another cluster: epoch \(head.epoch), \(count) numbered")
    }

    /// Seconds in which the whole log is looked through for what has no number.
    private static let rebasePatience = 6 * 3600.0

    /// Transaction numbers of another cluster mean nothing here: what is not numbered yet is numbered now, by id, under a
    /// lock that keeps writers out, and from here on only newer rows are looked at. A new epoch says so to everybody.
    private static func rebase(_ head: inout StreamHead, _ transaction: Transaction) async throws -> Int {
        let name: [Parameter] = [.text(head.stream), .text(head.lane.rawValue)]
        try await transaction.query("SET LOCAL statement_timeout = 0")
        try await transaction.query("LOCK TABLE event IN SHARE MODE")
        var look = Statement(
            """
            SELECT e.id, e.day::text AS day, e.digest FROM event AS e
            LEFT JOIN event_no AS n ON n.stream = $1 AND n.lane = $2 AND n.event_day = e.day AND n.event_id = e.id
            WHERE e.stream = $1 AND e.lane = $2 AND n.seq IS NULL
                AND e.day >= coalesce((SELECT min(day) FROM day_range), '-infinity') ORDER BY e.id
            """, name)
        look.patience = Self.rebasePatience
        let waiting = try await transaction.run([look])[0]
        let before = head
        var numbered: [NumberedEvent] = []
        for row in waiting {
            head.seq += 1
            head.link = head.link.next(seq: head.seq, digest: try row.bytes("digest"))
            numbered.append(
                .init(seq: head.seq, link: head.link, day: try row.string("day"), id: try row.int("id")))
        }
        head.epoch += 1
        var statements = numbered.isEmpty ? [] : NumberedEvent.insert(numbered, head, before: before.link)
        statements += [
            Statement(
                """
                UPDATE stream_head SET epoch = $3, seq = $4, link = $5, snapshot = pg_current_snapshot(), target = NULL,
                    last_id = 0, rebased_id = (SELECT coalesce(max(id), 0) FROM event),
                    system_identifier = (SELECT system_identifier FROM pg_control_system())
                WHERE stream = $1 AND lane = $2
                """, name + [.int(head.epoch), .int(head.seq), .bytes(head.link.bytes)]),
            BusDecision.record(
                by: "throughline", "rebase", "\(head.stream)/\(head.lane.rawValue)",
                reason: "the log came from another database cluster",
                outcome: "epoch \(head.epoch), \(numbered.count) events numbered up to #\(head.seq)"),
        ]
        try await transaction.run(statements)
        return numbered.count
    }
}

/// An event's place in its sequence, as it is written down.
struct NumberedEvent: Sendable {
    let seq: Int64
    let link: Link
    let day: String
    let id: Int64

    /// - Parameter before: the link before the first of them.
    static func insert(_ events: [NumberedEvent], _ head: StreamHead, before: Link) -> [Statement] {
        let name: [Parameter] = [.text(head.stream), .text(head.lane.rawValue)]
        // No run is longer than a tick's: readers rely on it when they look for the run that holds a number.
        return events.parts(of: StampingTick.limit).map { run in
            Statement(
                """
                INSERT INTO event_run (stream, lane, first, last, event_days, event_ids, links)
                SELECT $1, $2, $3::bigint, $4::bigint, $5::text[]::date[], $6::bigint[], $7::bytea[]
                """,
                name + [
                    .int(run[0].seq), .int(run[run.count - 1].seq), .texts(run.map(\.day)),
                    .ints(run.map(\.id)), .byteArrays(run.map(\.link.bytes)),
                ])
        } + [
            Statement(
                """
                INSERT INTO day_range AS d (stream, lane, day, first, last, before)
                VALUES ($1, $2, (now() AT TIME ZONE 'UTC')::date, $3, $4, $5)
                ON CONFLICT (stream, lane, day) DO UPDATE SET last = excluded.last
                """, name + [.int(events[0].seq), .int(head.seq), .bytes(before.bytes)])
        ]
    }
}
