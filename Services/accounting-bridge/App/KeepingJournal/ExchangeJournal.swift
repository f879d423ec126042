import Contracts
import Postgres
import Primitives

/// Every request and its answer. The request is on disk before anything of it is understood.
struct ExchangeJournal: Sendable {
    let pool: PostgresPool

    /// Characters of an address that are kept.
    private static let targetLimit = 4000

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

    /// One exchange's end, whoever began it.
    struct Entry: Sendable {
        var status: Int?
        var answer: [UInt8]
        var result = "ok"
        var reason: String?
        var understood: [String] = []
        var journeys: [ID] = []
        var orders: [String] = []
    }

    /// - Parameters:
    ///   - order: the number of the order that it is about, where that is known before an answer is: an exchange that a death has cut off is found by it.
    ///   - journey: that order's.
    func open(
        base: String?, session: ID?, kind: String, method: String, target: String, body: [UInt8],
        direction: String = "in", order: String? = nil, journey: ID? = nil
    ) async throws -> ID {
        let id = ID.make()
        try await pool.query(
            """
            INSERT INTO exchange (id, base, session, kind, method, target, request, direction, orders, journeys)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            """,
            [
                .id(id), .text(base?.withoutNUL), .id(session), .text(kind.withoutNUL), .text(method),
                .text(String(target.withoutNUL.prefix(Self.targetLimit))), .bytes(body), .text(direction),
                .texts([order].compactMap { $0?.withoutNUL }), .ids([journey].compactMap { $0 }),
            ])
        return id
    }

    /// What was understood of an exchange that is closed, once it is kept.
    static func understood(_ words: String, _ exchange: ID) -> Statement {
        Statement(
            "UPDATE exchange SET understood = understood || to_jsonb($2::text) WHERE id = $1",
            [.id(exchange), .text(words.withoutNUL)])
    }

    func close(_ id: ID, _ answer: Answer) async throws {
        try await close(
            id,
            Entry(
                status: answer.status, answer: Array(answer.body.utf8), result: answer.result, reason: answer.reason,
                understood: answer.understood, journeys: answer.journeys, orders: answer.orders))
    }

    func close(_ id: ID, _ entry: Entry) async throws {
        try await pool.query(
            """
            UPDATE exchange SET answered_at = now(), status = $2, answer = $3, result = $4, reason = $5,
                understood = $6::jsonb, journeys = $7::uuid[], orders = $8::text[] WHERE id = $1
            """,
            [
                .id(id), .int(entry.status), .bytes(entry.answer), .text(entry.result), .text(entry.reason?.withoutNUL),
                .text(try JSON.text(entry.understood.map(\.withoutNUL))), .ids(entry.journeys),
                .texts(entry.orders.map(\.withoutNUL)),
            ])
    }
}
