import Hummingbird
import Postgres
import Primitives
import ServiceKit

/// The journal by whatever a person knows. Only what is asked for stands in a statement, so that each way has its index.
struct JournalSearch {
    private var conditions: [String] = []
    private var parameters: [Parameter] = []
    private let client: String?
    private let text: String?
    /// Newest first: by the number, which is made in the order of time; where a time is asked for, by that.
    private let order: String

    init(_ request: Request) {
        func word(_ name: String) -> String? { request.query(name)?.withoutNUL.nonEmpty }
        func id(_ name: String) -> Parameter? { request.query(name).flatMap { ID($0) }.map { .id($0) } }
        // A form's time has no zone: it is said on the company's clock.
        func time(_ name: String) -> Parameter? {
            request.query(name).flatMap { Timestamp($0) ?? LocalTime.moment($0) }.map { .time($0) }
        }
        client = word("counterparty")
        text = word("text")
        let isByTime = time("from") != nil || time("to") != nil
        order = isByTime ? "at DESC, id DESC" : "id DESC"
        add(word("base").map { .text($0) }) { "base = \($0)" }
        add(word("direction").map { .text($0) }) { "direction = \($0)" }
        add(word("status").map { .text($0) }) { "result = \($0)" }
        add(word("kind").map { .text($0) }) { "kind = \($0)" }
        add(id("journeyId")) { "journeys @> ARRAY[\($0)::uuid]" }
        add(time("from")) { "at >= \($0)" }
        add(time("to")) { "at < \($0)" }
        add(id("after")) { isByTime ? "(at, id) < (SELECT at, id FROM exchange WHERE id = \($0))" : "id < \($0)" }
        add(word("order").map { .text($0) }) { "orders @> ARRAY[\($0)::text]" }
    }

    private mutating func add(_ value: Parameter?, _ condition: (String) -> String) {
        guard let value else { return }
        parameters.append(value)
        conditions.append(condition("$\(parameters.count)"))
    }

    /// The newest exchanges that are asked for; at most `limit`.
    func find(in pool: PostgresPool, limit: Int) async throws -> [Row] {
        var search = self
        try await search.lookUpClient(in: pool)
        var rows: [Row] = []
        for statement in search.statements(limit: limit) {
            rows = try await pool.run([statement])[0].map { $0 }
            if rows.count >= limit { break }
        }
        return rows
    }

    /// Orders of a client that are looked for by their numbers. A name that so many share as "ООО" is soon met on the way back from
    /// the newest exchange.
    private static let numbersLimit = 1000

    /// Puts the client's orders in the client's place: only with the numbers before it can PostgreSQL know that they are few.
    private mutating func lookUpClient(in pool: PostgresPool) async throws {
        guard let client else { return }
        func isTheirs(_ first: Int) -> String {
            "inn = $\(first) OR counterparty_id = $\(first) OR lower(client) LIKE lower($\(first + 1))"
        }
        let own: [Parameter] = [.text(client), .text(Self.pattern(client))]
        let look = "SELECT number FROM order_out WHERE \(isTheirs(1)) LIMIT \(Self.numbersLimit + 1)"
        let numbers = try await pool.run([Self.planned(look, own)])[0].map { try $0.string("number") }
        if numbers.count <= Self.numbersLimit {
            add(.texts(numbers)) { "orders && \($0)::text[]" }
        } else {
            let theirs = isTheirs(parameters.count + 1)
            parameters += own
            conditions.append("orders && ARRAY(SELECT number FROM order_out WHERE \(theirs))")
        }
    }

    /// Exchanges, from the newest on, that are looked through for a text before its index is asked: what is often said is found
    /// among them.
    private static let window = 20_000

    /// Statements of which each finds more than the one before it: the first that finds enough will do.
    private func statements(limit: Int) -> [Statement] {
        let these = conditions.isEmpty ? "true" : conditions.joined(separator: " AND ")
        let last = "ORDER BY \(order) LIMIT \(limit)"
        func statement(_ source: String, _ parameters: [Parameter]) -> Statement {
            Self.planned("SELECT \(JournalAPI.columns) FROM \(source)", parameters)
        }
        guard let text else { return [statement("exchange WHERE \(these) \(last)", parameters)] }
        let word = "lower($\(parameters.count + 1))"
        let says = "(lower(understood::text) LIKE \(word) OR lower(reason) LIKE \(word))"
        let own = parameters + [.text(Self.pattern(text))]
        return [
            statement(
                "(SELECT * FROM exchange WHERE \(these) ORDER BY \(order) LIMIT \(Self.window)) AS newest WHERE \(says) \(last)",
                own),
            // Kept apart, or it might be walked through from the newest on.
            statement(
                """
                exchange WHERE id IN (SELECT id FROM (SELECT id, at FROM exchange WHERE \(these) AND \(says) OFFSET 0) AS found
                    \(last)) ORDER BY \(order)
                """, own),
        ]
    }

    /// There are as many texts as ways to search; none is worth being kept, and each has values of its own.
    private static func planned(_ sql: String, _ parameters: [Parameter]) -> Statement {
        var statement = Statement(sql, parameters)
        statement.isPlannedEachTime = true
        return statement
    }

    /// What `LIKE` finds wherever this stands, letter by letter.
    private static func pattern(_ text: String) -> String {
        var pattern = String.UnicodeScalarView("%".unicodeScalars)
        for scalar in text.unicodeScalars {
            if "%_\\".unicodeScalars.contains(scalar) { pattern.append("\\") }
            pattern.append(scalar)
        }
        return String(pattern) + "%"
    }
}
