import Hummingbird
import Postgres
import Primitives
import ServiceKit

/// Asks a base for all its orders once more, also for those that have long been quiet: what is compared with 1C is then what 1C has, and not what it had
/// (TL-05). Only bases that are asked can be: the others tell when they like.
struct ReadingAnew: Sendable {
    let pool: PostgresPool
    let systems: [SystemLine]

    /// On the company's clock; an hour later everything is compared.
    static let begins = "02:00"
    private static let pause = 300.0
    private static let pageSize = 500

    /// Bases that answer when they are asked.
    static func isAsked(_ driver: SuiteSettings.Base.Driver) -> Bool { driver == .odata }

    func add(to router: Router<ServiceRequestContext>) {
        struct Begun: AnswerShape { let asked: Int }
        router.post("/api/v1/bases/:base/read-again") { _, context in
            try context.require("head", "accountant", "integrator")
            let name = try context.text("base")
            guard let line = systems.first(where: { $0.base.base == name }) else { throw Problem.notFound("base") }
            guard Self.isAsked(line.base.driver) else {
                throw Problem.conflict("базу \(name) нельзя спросить: она сообщает сама")
            }
            return try Response.json(Begun(asked: try await begin(name)))
        }
    }

    /// - Returns: how many orders will be asked for.
    func begin(_ base: String) async throws -> Int {
        var count = 0
        for (table, key) in [("order_out", "id"), ("order_books", "order_id")] {
            var some = 0
            repeat {
                // Page by page: none is locked for long, and what is done stays done.
                some = try await pool.query(
                    """
                    UPDATE \(table) SET ask_at = '-infinity' WHERE base = $1 AND \(key) IN (
                        SELECT \(key) FROM \(table) WHERE base = $1 AND ask_at > now() LIMIT \(Self.pageSize))
                    """, [.text(base)]
                ).affected
                count += some
            } while some == Self.pageSize
        }
        // And for those that were made there.
        try await pool.query("UPDATE base_state SET born_looked_whole_at = NULL WHERE base = $1", [.text(base)])
        systems.first { $0.base.base == base }?.reading.poke()
        return count
    }

    /// Each night, before the comparison.
    func watch() async throws {
        while !Task.isCancelled {
            let now = Timestamp.now()
            let day = LocalTime.day(now)
            if String(LocalTime.clock(now).prefix(5)) >= Self.begins {
                for line in systems where Self.isAsked(line.base.driver) {
                    let isDone = try await !pool.query(
                        "SELECT 1 AS one FROM base_state WHERE base = $1 AND asked_anew >= $2::date",
                        [.text(line.base.base), .text(day)]
                    ).isEmpty
                    guard !isDone else { continue }
                    _ = try await begin(line.base.base)
                    // Cut off before, it is begun again: those that have been asked for meanwhile are asked for twice.
                    try await pool.query(
                        """
                        INSERT INTO base_state (base, asked_anew) VALUES ($1, $2::date)
                        ON CONFLICT (base) DO UPDATE SET asked_anew = excluded.asked_anew
                        """, [.text(line.base.base), .text(day)])
                }
            }
            try await Task.sleep(for: .seconds(Self.pause))
        }
    }
}
