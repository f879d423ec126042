import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit

/// Which good of a base an article of ours means, where a person has said it, and the questions that wait for a person (ONEC-09): what is ambiguous is never
/// linked by itself.
struct GoodLinks: Sendable {
    let pool: PostgresPool

    /// A good of the base that may be meant.
    struct Candidate: AnswerShape, Codable, Hashable {
        let id, name: String
        let sku: String?
    }
    struct Question: AnswerShape {
        let base, sku, name, reason: String
        let candidates: [Candidate]
        let orders: [String]
        let at: Timestamp
    }
    /// Candidates of a question, and orders that it names, at most.
    static let candidateLimit = 20
    private static let orderLimit = 1000

    /// What a line's good is known by: its article, or its name when it has none.
    static func key(sku: String, name: String) -> String {
        sku.isEmpty ? "name:\(name.lowercased().prefix(250))" : "sku:\(sku.lowercased().prefix(200))"
    }

    /// The base's ids of goods by their keys, as people have said.
    func links(_ base: String, _ keys: [String]) async throws -> [String: String] {
        try await pool.query(
            "SELECT key, good_id FROM good_link WHERE base = $1 AND key = ANY($2::text[])",
            [.text(base), .texts(Set(keys).sorted())]
        ).reduce(into: [:]) { $0[try $1.string("key")] = try $1.string("good_id") }
    }

    /// Keeps a question; the same once more has the candidates of now.
    func ask(_ base: String, _ line: OrderLine, order: String, _ reason: String, _ candidates: [Candidate]) async throws
    {
        try await pool.query(
            """
            INSERT INTO good_question AS q (base, key, sku, name, reason, candidates, orders)
            VALUES ($1, $2, $3, $4, $5, $6::jsonb, ARRAY[$7])
            ON CONFLICT (base, key) DO UPDATE SET reason = excluded.reason, candidates = excluded.candidates,
                name = excluded.name, orders = CASE WHEN $7 = ANY(q.orders) OR cardinality(q.orders) >= \(Self.orderLimit)
                    THEN q.orders ELSE array_append(q.orders, $7) END
            """,
            [
                .text(base), .text(Self.key(sku: line.sku, name: line.name)), .text(line.sku.withoutNUL),
                .text(line.name.withoutNUL), .text(reason.withoutNUL),
                .text(try JSON.text(Array(candidates.prefix(Self.candidateLimit)))), .text(order),
            ])
    }

    /// The base tells these goods apart now: nobody has to be asked.
    func settle(_ base: String, _ keys: [String]) async throws {
        try await pool.query(
            "DELETE FROM good_question WHERE base = $1 AND key = ANY($2::text[])",
            [.text(base), .texts(Set(keys).sorted())])
    }

    /// Questions that wait, the oldest first.
    func questions(limit: Int) async throws -> [Question] {
        try await pool.query(
            """
            SELECT base, sku, name, reason, candidates::text AS candidates, to_json(orders)::text AS orders, at
            FROM good_question ORDER BY at, base, key LIMIT $1
            """, [.int(limit)]
        ).map {
            Question(
                base: try $0.string("base"), sku: try $0.string("sku"), name: try $0.string("name"),
                reason: try $0.string("reason"),
                candidates: try JSON.decode([Candidate].self, from: try $0.string("candidates").utf8),
                orders: try JSON.decode([String].self, from: try $0.string("orders").utf8), at: try $0.time("at"))
        }
    }

    struct Choice: Decodable, Sendable {
        let base, goodId: String
        let sku, name: String?
    }

    /// A person says which good is meant.
    ///
    /// - Returns: the ids of orders that were set aside for it.
    func choose(_ choice: Choice, by caller: Caller, in transaction: EventTransaction) async throws -> [ID] {
        let key = Self.key(sku: choice.sku ?? "", name: choice.name ?? "")
        let rows = try await transaction.query(
            "SELECT candidates::text AS candidates FROM good_question WHERE base = $1 AND key = $2 FOR UPDATE",
            [.text(choice.base), .text(key)])
        guard let row = rows.first else { throw Problem.notFound("question") }
        let candidates = try JSON.decode([Candidate].self, from: try row.string("candidates").utf8)
        guard let good = candidates.first(where: { $0.id == choice.goodId }) else {
            throw Problem.invalid("goodId is one of the question's candidates")
        }
        return try await transaction.query(
            """
            WITH settled AS (DELETE FROM good_question WHERE base = $1 AND key = $2 RETURNING orders),
                linked AS (INSERT INTO good_link (base, key, good_id, good_name, by_whom) SELECT $1, $2, $3, $4, $5 FROM settled
                    ON CONFLICT (base, key) DO UPDATE SET good_id = excluded.good_id, good_name = excluded.good_name,
                        by_whom = excluded.by_whom, at = now())
            SELECT o.id FROM settled s JOIN order_out o ON o.number = ANY(s.orders) AND o.base = $1 AND o.state = 'refused'
            ORDER BY o.requested_at
            """,
            [.text(choice.base), .text(key), .text(good.id), .text(good.name), .text(caller.name)]
        ).map { try $0.id("id") }
    }

    /// It was said by mistake.
    func forget(base: String, sku: String?, name: String?) async throws {
        let gone = try await pool.query(
            "DELETE FROM good_link WHERE base = $1 AND key = $2",
            [.text(base), .text(Self.key(sku: sku ?? "", name: name ?? ""))]
        ).affected
        guard gone == 1 else { throw Problem.notFound("link") }
    }
}
