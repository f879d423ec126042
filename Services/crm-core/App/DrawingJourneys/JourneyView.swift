import Postgres
import Primitives
import ServiceKit

/// A journey as one line: its steps in order of time, each after the one it answers, and what is waited for.
struct JourneyView: AnswerShape {
    struct Step: AnswerShape {
        let id: ID
        let at: Timestamp
        let service, kind, summary: String
        let ref: String?
        let causedBy: ID?
        let by: String?
    }
    struct Gap: AnswerShape {
        let after: ID?
        let waitingFor: String
        let since: Timestamp
        let owner, norm: String
        let late: Bool
    }
    let id: ID
    let steps: [Step]
    let gaps: [Gap]

    /// Steps of one line at most.
    private static let stepLimit = 5000

    static func load(_ id: ID, _ pool: PostgresPool, _ language: Language) async throws -> JourneyView? {
        let rows = try await pool.query(
            """
            SELECT id, at, service, kind, CASE WHEN $2 THEN summary_en ELSE summary END AS summary, ref, caused_by,
                by_whom FROM journey_step WHERE journey_id = $1 ORDER BY at, id LIMIT \(stepLimit)
            """, [.id(id), .bool(language == .en)])
        guard !rows.isEmpty else { return nil }
        let steps = try rows.map {
            Step(
                id: try $0.id("id"), at: try $0.time("at"), service: try $0.string("service"),
                kind: try $0.string("kind"), summary: try $0.string("summary"),
                ref: try $0.optionalString("ref"), causedBy: try $0.optionalID("caused_by"),
                by: try $0.optionalString("by_whom"))
        }
        let ordered = causesFirst(steps)
        return JourneyView(id: id, steps: ordered, gaps: try await JourneyGaps(ordered, language).find(id, pool))
    }

    /// Within one millisecond the ids of two processes have no order: a cause stands before its effect.
    static func causesFirst(_ steps: [Step]) -> [Step] {
        var waiting: [ID: [Step]] = [:]
        var placed: Set<ID> = []
        var result: [Step] = []
        let known = Set(steps.map(\.id))
        func place(_ step: Step) {
            var stack = [step]
            while let next = stack.popLast() {
                placed.insert(next.id)
                result.append(next)
                stack += (waiting.removeValue(forKey: next.id) ?? []).reversed()
            }
        }
        for step in steps {
            if let cause = step.causedBy, known.contains(cause), !placed.contains(cause) {
                waiting[cause, default: []].append(step)
            } else {
                place(step)
            }
        }
        return result + waiting.values.flatMap { $0 }
    }
}
