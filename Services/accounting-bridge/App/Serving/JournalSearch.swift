import Hummingbird
import Postgres
import Primitives
import ServiceKit

/// The journal by whatever a person knows. Only what is asked for stands in the statement, so that each way has its index.
struct JournalSearch {
    private var conditions: [String] = []
    private var parameters: [Parameter] = []
    private var text: String?

    init(_ request: Request) {
        func word(_ name: String) -> Parameter? { request.query(name).map { .text($0.withoutNUL) } }
        func id(_ name: String) -> Parameter? { request.query(name).flatMap { ID($0) }.map { .id($0) } }
        func time(_ name: String) -> Parameter? { request.query(name).flatMap { Timestamp($0) }.map { .time($0) } }
        add(word("base")) { "base = \($0)" }
        add(word("direction")) { "direction = \($0)" }
        add(word("status")) { "result = \($0)" }
        add(word("kind")) { "kind = \($0)" }
        add(id("journeyId")) { "journeys @> ARRAY[\($0)::uuid]" }
        add(time("from")) { "at >= \($0)" }
        add(time("to")) { "at < \($0)" }
        add(id("after")) { "id < \($0)" }
        add(word("order")) { "orders @> ARRAY[\($0)::text]" }
        add(word("counterparty")) {
            """
            orders && ARRAY(SELECT number FROM order_out WHERE inn = \($0) OR counterparty_id = \($0)
                OR position(lower(\($0)) IN lower(client)) > 0)
            """
        }
        text = request.query("text")?.withoutNUL.nonEmpty
    }

    private mutating func add(_ value: Parameter?, _ condition: (String) -> String) {
        guard let value else { return }
        parameters.append(value)
        conditions.append(condition("$\(parameters.count)"))
    }

    /// Exchanges, from the newest on, that are looked through for a text before all are: what is often said is found among them.
    private static let windows = [20_000, 200_000]

    /// Statements of which each finds more than the one before it: the first that finds enough will do.
    func statements(limit: Int) -> [Statement] {
        let these = conditions.isEmpty ? "true" : conditions.joined(separator: " AND ")
        let last = "ORDER BY id DESC LIMIT \(limit)"
        func statement(_ sql: String, _ parameters: [Parameter]) -> Statement {
            var statement = Statement("SELECT \(JournalAPI.columns) FROM \(sql)", parameters)
            // There are as many texts as ways to search; none is worth being kept, and each has values of its own.
            statement.isPlannedEachTime = true
            return statement
        }
        guard let text else { return [statement("exchange WHERE \(these) \(last)", parameters)] }
        let word = "$\(parameters.count + 1)"
        let says = "(strpos(lower(understood::text), lower(\(word))) > 0 OR strpos(lower(reason), lower(\(word))) > 0)"
        let own = parameters + [.text(text)]
        let newest = Self.windows.map {
            statement(
                "(SELECT * FROM exchange WHERE \(these) ORDER BY id DESC LIMIT \($0)) AS newest WHERE \(says) \(last)",
                own)
        }
        // Kept apart, or it would be walked through from the newest on by one process alone.
        let all = statement(
            """
            exchange WHERE id IN (SELECT id FROM (SELECT id FROM exchange WHERE \(these) AND \(says) OFFSET 0) AS found
                \(last)) ORDER BY id DESC
            """, own)
        return newest + [all]
    }
}
