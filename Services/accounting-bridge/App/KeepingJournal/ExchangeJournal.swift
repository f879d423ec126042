import Postgres
import Primitives

/// Every request and its answer. The request is on disk before anything of it is understood.
struct ExchangeJournal: Sendable {
    let pool: PostgresPool

    struct Answer: Sendable {
        var status = 200
        var body: String
        var contentType = "text/plain; charset=utf-8"
        var result = "ok"
        var reason: String?
        /// What was understood of it, in words.
        var understood: [String] = []
        var journeys: [ID] = []
        /// Numbers of the orders that it is about.
        var orders: [String] = []
        var cookie: String?
    }

    func open(base: String?, session: ID?, kind: String, method: String, target: String, body: [UInt8])
        async throws -> ID
    {
        let id = ID.make()
        try await pool.query(
            """
            INSERT INTO exchange (id, base, session, kind, method, target, request)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            """,
            [
                .id(id), .text(base?.withoutNUL), .id(session), .text(kind.withoutNUL), .text(method),
                .text(target.withoutNUL), .bytes(body),
            ])
        return id
    }

    func close(_ id: ID, _ answer: Answer) async throws {
        let understood = "[" + answer.understood.map { "\"\(Self.escape($0))\"" }.joined(separator: ",") + "]"
        try await pool.query(
            """
            UPDATE exchange SET answered_at = now(), status = $2, answer = $3, result = $4, reason = $5,
                understood = $6::jsonb, journeys = $7::uuid[], orders = $8::text[] WHERE id = $1
            """,
            [
                .id(id), .int(answer.status), .bytes(Array(answer.body.utf8)), .text(answer.result),
                .text(answer.reason), .text(understood), .ids(answer.journeys),
                .texts(answer.orders.map(\.withoutNUL)),
            ])
    }

    private static func escape(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { out, scalar in
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case _ where scalar.value < 0x20: out += " "
            default: out.unicodeScalars.append(scalar)
            }
        }
    }
}
