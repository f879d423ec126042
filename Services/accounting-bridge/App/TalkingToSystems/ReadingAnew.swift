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

    /// Bases that answer when they are asked.
    static func isAsked(_ driver: SuiteSettings.Base.Driver) -> Bool { driver == .odata }

    func add(to router: Router<ServiceRequestContext>) {
        struct Begun: AnswerShape { let asked: Int }
        router.post("/api/v1/bases/:base/read-again") { _, context in
            try context.require("head", "accountant", "integrator")
            let name = try context.parameters.require("base")
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
        for table in ["order_out", "order_books"] {
            count += try await pool.query(
                "UPDATE \(table) SET ask_at = now() WHERE base = $1 AND ask_at IS NOT NULL", [.text(base)]
            ).affected
        }
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
                    // The day is taken before its work: a service that dies on the way asks for the rest all the same, for it is due.
                    let isDue = try await pool.query(
                        """
                        INSERT INTO base_state AS b (base, asked_anew) VALUES ($1, $2::date)
                        ON CONFLICT (base) DO UPDATE SET asked_anew = excluded.asked_anew
                        WHERE b.asked_anew IS NULL OR b.asked_anew < excluded.asked_anew
                        """, [.text(line.base.base), .text(day)]
                    ).affected
                    if isDue == 1 { _ = try await begin(line.base.base) }
                }
            }
            try await Task.sleep(for: .seconds(Self.pause))
        }
    }
}
