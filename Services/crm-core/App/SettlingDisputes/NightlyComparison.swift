import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit
import Sodium

/// Compares books, CRM and report every night and keeps what was found (TL-05). It asks the others as a reader of theirs would, with a pass of its own
/// for a few minutes: what is compared is what they tell people (decision 0011).
struct NightlyComparison: Sendable {
    let bus: EventBus
    let reconciliation: Reconciliation
    let key: SigningKey

    struct Run: AnswerShape {
        let day: String
        let at: Timestamp
        let by: String?
        let checked, found: Int64
        let differences: [Reconciliation.Difference]
        let sources: [Reconciliation.Source]
        /// Why nothing could be compared; null when it was.
        let failed: String?
    }

    /// On the company's clock: when it is begun, and until when it is tried again while somebody does not answer.
    static let begins = "03:00"
    static let givesUp = "06:00"
    private static let pause = 300.0

    /// - Parameter last: the day of the last run that is kept.
    static func isDue(day: String, clock: String, last: String?) -> Bool {
        clock >= begins && last.map { $0 < day } ?? true
    }

    func watch() async throws {
        while !Task.isCancelled {
            if bus.missing == nil {
                let now = Timestamp.now()
                let last = try await bus.pool.query(
                    "SELECT max(day)::text AS day FROM reconciliation_run WHERE by_whom IS NULL"
                ).first?
                .optionalString("day")
                let clock = String(LocalTime.clock(now).prefix(5))
                if Self.isDue(day: LocalTime.day(now), clock: clock, last: last) {
                    try await run(by: nil, keepsFailure: clock >= Self.givesUp)
                }
            }
            try await Task.sleep(for: .seconds(Self.pause))
        }
    }

    /// - Parameters:
    ///   - by: who asked for it; nil at night.
    ///   - keepsFailure: whether it is over when somebody does not answer.
    @discardableResult
    func run(by: String?, keepsFailure: Bool) async throws -> Run? {
        let pass = SessionToken(
            session: .make(), user: .make(), name: "сверка", roles: ["reader"],
            expiresAt: Timestamp.now().adding(seconds: 600))
        var run: Run
        do {
            let answer = try await reconciliation.run(session: try pass.signed(key))
            run = Run(
                day: LocalTime.day(.now()), at: .now(), by: by, checked: Int64(answer.checked),
                found: Int64(answer.found), differences: answer.differences, sources: answer.sources, failed: nil)
        } catch is OtherServices.Away {
            guard keepsFailure else { return nil }
            run = Self.failed("мост 1С или отчёты не отвечали", by)
        } catch let problem as Problem { run = Self.failed(problem.detail ?? problem.title, by) }
        try await bus.pool.query(
            """
            INSERT INTO reconciliation_run (id, day, at, by_whom, checked, differences, failed, found, sources)
            VALUES ($1, $2::date, $3, $4, $5, $6::jsonb, $7, $8, $9::jsonb)
            """,
            [
                .id(.make()), .text(run.day), .time(run.at), .text(by), .int(run.checked),
                .text(try JSON.text(run.differences)), .text(run.failed), .int(run.found),
                .text(try JSON.text(run.sources)),
            ])
        return run
    }

    private static func failed(_ why: String, _ by: String?) -> Run {
        Run(
            day: LocalTime.day(.now()), at: .now(), by: by, checked: 0, found: 0, differences: [], sources: [],
            failed: why)
    }

    /// The last ones, the newest first.
    static func list(_ pool: PostgresPool, limit: Int) async throws -> [Run] {
        try await pool.query(
            "SELECT day::text AS day, at, by_whom, checked, found, differences::text AS differences, sources::text AS sources, failed FROM reconciliation_run ORDER BY id DESC LIMIT $1",
            [.int(limit)]
        ).map { row in
            Run(
                day: try row.string("day"), at: try row.time("at"), by: try row.optionalString("by_whom"),
                checked: try row.int("checked"), found: try row.int("found"),
                differences: try JSON.decode(
                    [Reconciliation.Difference].self, from: try row.string("differences").utf8),
                sources: try JSON.decode([Reconciliation.Source].self, from: try row.string("sources").utf8),
                failed: try row.optionalString("failed"))
        }
    }
}
