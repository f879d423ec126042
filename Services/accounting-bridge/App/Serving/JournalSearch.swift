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

    /// Exchanges that are looked through for a text before all are: what is often said is found among the newest.
    private static let newest = 20_000

    /// Statements of which each finds more than the one before it: the first that finds enough will do.
    func statements(limit: Int) -> [Statement] {
        let these = conditions.isEmpty ? "true" : conditions.joined(separator: " AND ")
        let all = "SELECT \(JournalAPI.columns) FROM exchange WHERE"
        let last = "ORDER BY id DESC LIMIT \(limit)"
        guard let text else { return [Statement("\(all) \(these) \(last)", parameters)] }
        let word = "$\(parameters.count + 1)"
        let says = "(strpos(lower(understood::text), lower(\(word))) > 0 OR strpos(lower(reason), lower(\(word))) > 0)"
        let own = parameters + [.text(text)]
        return [
            Statement(
                """
                SELECT \(JournalAPI.columns) FROM (
                    SELECT * FROM exchange WHERE \(these) ORDER BY id DESC LIMIT \(Self.newest)) AS newest
                WHERE \(says) \(last)
                """, own),
            // Kept apart, or it would be walked through from the newest on by one process alone.
            Statement(
                """
                \(all) id IN (SELECT id FROM (SELECT id FROM exchange WHERE \(these) AND \(says) OFFSET 0) AS found
                    ORDER BY id DESC LIMIT \(limit)) ORDER BY id DESC
                """, own),
        ]
    }
}
