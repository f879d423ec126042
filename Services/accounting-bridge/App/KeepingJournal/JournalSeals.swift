import Hummingbird
import Postgres
import Primitives
import ServiceKit
import Sodium

/// Whether the journal is what it was: each day's chain is followed from its first exchange, and a signed day's signature is checked.
struct JournalSeals: Sendable {
    let pool: PostgresPool
    let verifying: VerifyingKey?

    struct Day: AnswerShape {
        let day: String
        let count: Int64
        /// Base64url of the chain up to the last exchange.
        let link: String
        let signed: Bool
        /// What does not fit; null when all does.
        let wrong: String?
    }
    struct Answer: AnswerShape {
        let days: [Day]
        let checked: Int64
        /// Not sealed yet.
        let waiting: Int64
        let megabytes: Double
    }

    /// Days that one question looks through at most, and exchanges read at a time.
    static let dayLimit = 3660
    private static let step = 1000

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/api/v1/journal-seals") { request, context in
            try context.require("head", "accountant", "integrator", "reader")
            let days = request.query("days") ?? "7"
            guard let count = Int(days), (1...Self.dayLimit).contains(count) else {
                throw Problem.badRequest("days is a number from 1 to \(Self.dayLimit)")
            }
            return try Response.json(try await check(days: count))
        }
    }

    func check(days: Int) async throws -> Answer {
        let rows = try await pool.query(
            """
            SELECT day::text AS day, count, link, signature,
                (SELECT signature FROM journal_day b WHERE b.day < d.day ORDER BY b.day DESC LIMIT 1) AS before
            FROM journal_day d WHERE dropped_at IS NULL AND day > (now() AT TIME ZONE 'UTC')::date - $1::int ORDER BY day
            """, [.int(days)])
        var (found, checked): ([Day], Int64) = ([], 0)
        for row in rows {
            let day = try row.string("day")
            let (count, link) = (try row.int("count"), try row.bytes("link"))
            let signature = try row.optionalBytes("signature")
            var wrong = try await follow(day, count, link)
            if wrong == nil, let signature, let verifying {
                let words = JournalKeeper.statement(day, count, link, before: try row.optionalBytes("before") ?? [])
                if !verifying.accepts(signature, of: words) { wrong = "the day's signature does not fit" }
            }
            checked += count
            found.append(
                Day(day: day, count: count, link: base64URL(link), signed: signature != nil, wrong: wrong))
        }
        let rest = try await pool.query(
            """
            SELECT (SELECT count(*) FROM exchange WHERE place IS NULL) AS waiting,
                (SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0) / 1048576.0 FROM pg_inherits
                    WHERE inhparent = 'exchange'::regclass) AS megabytes
            """)[0]
        return Answer(
            days: found, checked: checked, waiting: try rest.int("waiting"),
            megabytes: try rest.optionalDouble("megabytes") ?? 0)
    }

    /// What does not fit in a day's chain.
    private func follow(_ day: String, _ count: Int64, _ end: [UInt8]) async throws -> String? {
        var (place, link) = (Int64(0), JournalKeeper.start(of: day))
        while true {
            let rows = try await pool.query(
                """
                SELECT id, place, link, \(JournalKeeper.digest) AS digest FROM exchange
                WHERE id >= first_id_of($1::date) AND id < first_id_of($1::date + 1) AND place > $2 AND place <= $3
                ORDER BY place LIMIT \(Self.step)
                """, [.text(day), .int(place), .int(count)])
            for row in rows {
                let (id, at) = (try row.id("id"), try row.int("place"))
                guard at == place + 1 else { return "an exchange is missing before \(id): place \(place + 1)" }
                link = JournalKeeper.next(link, try row.bytes("digest"))
                guard link == (try row.bytes("link")) else { return "exchange \(id) is not what it was" }
                place = at
            }
            if rows.count < Self.step { break }
        }
        guard place == count, link == end else { return "\(count - place) exchanges are missing at the end of the day" }
        return nil
    }
}
