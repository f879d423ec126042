import Contracts
import HTTPTypes
import Hummingbird
import Primitives
import ServiceKit

/// What the routes read from a request.
extension Request {
    /// The version in `If-Match`, with or without quotes.
    var matchedVersion: Int64? { headers[.ifMatch].flatMap { Int64($0.filter(\.isNumber)) } }
}

extension ServiceRequestContext {
    /// The `{id}` of the path; what is no id is no record.
    func id(_ what: String) throws -> ID {
        guard let id = ID(try parameters.require("id")) else { throw Problem.notFound(what) }
        return id
    }
}

/// Cuts one row too many into a page and its cursor.
func page<Item: Encodable & Sendable>(
    _ rows: [Item], _ limit: Int, _ cursor: (Item) -> String
) -> Page<Item> {
    let items = Array(rows.prefix(limit))
    return Page(items: items, next: rows.count > limit ? items.last.map(cursor) : nil)
}

/// The version that a change was made of is not the record's.
func staleVersion(_ now: Int64) -> Problem {
    Problem(
        .preconditionFailed, "version", "If-Match must carry the record's version",
        detail: "the version now is \(now)")
}
