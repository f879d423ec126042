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
        try await load([id], pool, language).first
    }

    /// Lines in the order of their ids, however many in as many round trips as one; what has no step is none.
    static func load(_ ids: [ID], _ pool: PostgresPool, _ language: Language) async throws -> [JourneyView] {
        let rows = try await pool.query(
            """
            SELECT j.id AS journey_id, s.* FROM unnest($1::uuid[]) AS j (id) CROSS JOIN LATERAL (
                SELECT id, at, service, kind, CASE WHEN $2 THEN summary_en ELSE summary END AS summary, ref, caused_by,
                    by_whom FROM journey_step WHERE journey_id = j.id ORDER BY at, id LIMIT \(stepLimit)) AS s
            """, [.ids(ids), .bool(language == .en)])
        let found = try Dictionary(grouping: rows) { try $0.id("journey_id") }
        let waited = try await JourneyGaps.Records(of: Array(found.keys), pool)
        return try ids.compactMap { id in
            guard let rows = found[id] else { return nil }
            let steps = causesFirst(try rows.map { try Step($0) }.sorted { ($0.at, $0.id) < ($1.at, $1.id) })
            return JourneyView(id: id, steps: steps, gaps: try JourneyGaps(steps, language).find(id, waited))
        }
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

extension JourneyView.Step {
    init(_ row: Row) throws {
        id = try row.id("id")
        at = try row.time("at")
        service = try row.string("service")
        kind = try row.string("kind")
        summary = try row.string("summary")
        ref = try row.optionalString("ref")
        causedBy = try row.optionalID("caused_by")
        by = try row.optionalString("by_whom")
    }
}
