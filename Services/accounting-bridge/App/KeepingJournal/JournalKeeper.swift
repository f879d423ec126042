import Logging
import Messaging
import Postgres
import Primitives
import Sodium

/// Keeps the journal: makes its parts ahead, seals what is finished into each day's chain, signs days that are over, and drops what the policy
/// does not keep any more. What was understood of an exchange may be told anew; what it was may not.
struct JournalKeeper: Sendable {
    let bus: EventBus
    let signing: SigningKey?
    /// Days that are kept.
    let days: Int
    let log: Logger

    /// Records sealed in one transaction, and seconds between two rounds.
    static let batch = 500
    static let pause = 5.0
    /// Bytes sealed in one transaction.
    static let bytes = 64 * 1024 * 1024
    /// Hours after which an exchange that never got its answer is sealed as it is.
    static let patience = 24

    /// What of an exchange is sealed: when, who, what was asked and what was answered, to the byte.
    static let digest = """
        sha256(convert_to(jsonb_build_array(id, base, session, extract(epoch FROM at), direction, kind, method, target, status)::text,
            'UTF8') || sha256(request) || sha256(coalesce(answer, '')))
        """

    func run() async throws {
        var swept: ContinuousClock.Instant?
        while !Task.isCancelled {
            if bus.missing == nil {
                do {
                    while try await seal() > 0 {}
                    if swept.map({ $0.duration(to: .now).seconds > 600 }) ?? true {
                        try await sweep()
                        swept = .now
                    }
                } catch let error as PostgresError where error.isTransient || error.sqlState == "55P03" {
                    log.warning("the journal's days wait", metadata: ["reason": "\(error)"])
                }
            }
            try await Task.sleep(for: .seconds(Self.pause))
        }
    }

    static func start(of day: String) -> [UInt8] { sha256(Array("throughline journal \(day)".utf8)) }
    static func next(_ link: [UInt8], _ digest: [UInt8]) -> [UInt8] { sha256(link + digest) }

    /// Seals what has been finished since; how many.
    func seal() async throws -> Int {
        try await bus.pool.transaction { transaction in
            // Not more bytes than are hashed in good time, but one at least.
            let chosen = try await transaction.query(
                """
                SELECT id FROM (
                    SELECT id, sum(octet_length(request) + coalesce(octet_length(answer), 0)) OVER (ORDER BY id) AS bytes,
                        row_number() OVER (ORDER BY id) AS place
                    FROM (SELECT id, request, answer FROM exchange
                        WHERE place IS NULL AND (answered_at IS NOT NULL OR at < now() - interval '\(Self.patience) hours')
                        ORDER BY id LIMIT \(Self.batch)) AS next) AS weighed
                WHERE bytes <= \(Self.bytes) OR place = 1
                """
            ).map { try $0.id("id") }
            let rows = try await transaction.query(
                """
                SELECT id, day_of(id)::text AS day, \(Self.digest) AS digest FROM exchange
                WHERE id = ANY($1::uuid[]) AND place IS NULL ORDER BY id FOR UPDATE
                """, [.ids(chosen)])
            var (ids, places, links): ([ID], [Int64?], [[UInt8]?]) = ([], [], [])
            var chains: [String: (count: Int64, link: [UInt8])] = [:]
            for row in rows {
                let day = try row.string("day")
                if chains[day] == nil { chains[day] = try await Self.chain(day, in: transaction) }
                guard var chain = chains[day] else { continue }
                chain = (chain.count + 1, Self.next(chain.link, try row.bytes("digest")))
                chains[day] = chain
                ids.append(try row.id("id"))
                places.append(chain.count)
                links.append(chain.link)
            }
            guard !ids.isEmpty else { return 0 }
            try await transaction.query(
                """
                UPDATE exchange e SET place = s.place, link = s.link
                FROM unnest($1::uuid[], $2::bigint[], $3::bytea[]) AS s (id, place, link) WHERE e.id = s.id
                """, [.ids(ids), .ints(places), .byteArrays(links)])
            for (day, chain) in chains {
                try await transaction.query(
                    "UPDATE journal_day SET count = $2, link = $3 WHERE day = $1::date",
                    [.text(day), .int(chain.count), .bytes(chain.link)])
            }
            return ids.count
        }
    }

    private static func chain(_ day: String, in transaction: Transaction) async throws -> (Int64, [UInt8]) {
        let row = try await transaction.query(
            """
            INSERT INTO journal_day AS d (day, count, link) VALUES ($1::date, 0, $2)
            ON CONFLICT (day) DO UPDATE SET count = d.count RETURNING count, link
            """, [.text(day), .bytes(start(of: day))])[0]
        return (try row.int("count"), try row.bytes("link"))
    }

    // MARK: days

    private func sweep() async throws {
        do {
            _ = try await bus.pool.transaction { transaction in
                try await transaction.query("SET LOCAL lock_timeout = '300ms'")
                try await transaction.query("SELECT ensure_journal_parts()")
            }
        } catch let error as PostgresError where error.sqlState != nil && !error.isTransient {
            // Until it can be made its exchanges stand in the part for the others.
            log.error("a part of the journal was not made", metadata: ["reason": "\(error)"])
        }
        try await sign()
        try await dropMonths()
        try await dropDays()
        try await dropRest()
    }

    /// What a day's signature is made of: the day before is part of it, so that no whole day is exchanged.
    static func statement(_ day: String, _ count: Int64, _ link: [UInt8], before: [UInt8]) -> [UInt8] {
        Array("accounting-bridge journal \(day) \(count)\n".utf8) + link + before
    }

    /// Signs the days that are over and have nothing unsealed, the oldest first.
    private func sign() async throws {
        guard let signing else { return }
        let rows = try await bus.pool.query(
            """
            SELECT d.day::text AS day, d.count, d.link,
                (SELECT signature FROM journal_day b WHERE b.day < d.day ORDER BY b.day DESC LIMIT 1) AS before
            FROM journal_day d WHERE d.signature IS NULL AND d.day < (now() AT TIME ZONE 'UTC' - interval '1 hour')::date
                AND NOT EXISTS (SELECT 1 FROM exchange e WHERE e.place IS NULL AND e.id < first_id_of(d.day + 1))
            ORDER BY d.day LIMIT 1
            """)
        for row in rows {
            let day = try row.string("day")
            let words = Self.statement(
                day, try row.int("count"), try row.bytes("link"), before: try row.optionalBytes("before") ?? [])
            try await bus.pool.query(
                "UPDATE journal_day SET signature = $2 WHERE day = $1::date AND signature IS NULL",
                [.text(day), .bytes(signing.sign(words))])
        }
    }
}
