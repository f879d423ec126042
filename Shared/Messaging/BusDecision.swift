import Postgres
import Primitives

/// What a person, or the product itself, decided about the bus, and what came of it: kept for ever.
public struct BusDecision: Codable, Sendable {
    public let id: ID
    public let at: Timestamp
    public let by, what, subject, reason, outcome: String

    /// Newest first.
    static func list(_ runner: some StatementRunner, limit: Int) async throws -> [BusDecision] {
        try await runner.query(
            "SELECT id, at, by_whom, what, subject, reason, outcome FROM bus_decision ORDER BY at DESC LIMIT $1",
            [.int(limit)]
        ).map {
            BusDecision(
                id: try $0.id("id"), at: try $0.time("at"), by: try $0.string("by_whom"), what: try $0.string("what"),
                subject: try $0.string("subject"), reason: try $0.string("reason"), outcome: try $0.string("outcome"))
        }
    }

    static func record(
        id: ID = .make(), by: String, _ what: String, _ subject: String, reason: String, outcome: String
    ) -> Statement {
        Statement(
            """
            INSERT INTO bus_decision (id, by_whom, what, subject, reason, outcome) VALUES ($1, $2, $3, $4, $5, $6)
            """, [.id(id), .text(by), .text(what), .text(subject), .text(reason), .text(outcome)])
    }
}
