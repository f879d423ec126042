import Contracts
import Postgres
import Primitives

/// A payment or a refund as somebody counts it.
struct CountedMoney: Sendable {
    /// base, kind, document and order.
    let key, order: String
    let amount: Money
    /// Who tells it, and of what kind it is; the report does not say.
    var base = ""
    var kind = ""
    /// Whether it counts, and whether it stands where it is told: what another base is authoritative for stands and does not count.
    var counted = true
    var stands = true
}

/// One side of a comparison: its orders one after another, each with all of its money. Only a page of them is in memory.
struct MoneyByOrder: Sendable {
    /// - Returns: all entries of some orders behind the given one, in the order of their numbers, and from where to go on.
    typealias Fetch = @Sendable (_ after: String?) async throws -> (entries: [CountedMoney], next: String?)
    private let fetch: Fetch
    private var page: ArraySlice<CountedMoney> = []
    private var next: String?
    private var isBegun = false

    init(_ fetch: @escaping Fetch) { self.fetch = fetch }

    /// The order that comes next; nil at the end.
    mutating func peek() async throws -> String? {
        while page.isEmpty {
            if isBegun, next == nil { return nil }
            let answer = try await fetch(next)
            isBegun = true
            (page, next) = (answer.entries[...], answer.next)
        }
        return page.first?.order
    }

    /// All of its money, when the order is the next one.
    mutating func take(_ order: String) async throws -> [CountedMoney] {
        guard try await peek() == order else { return [] }
        let own = page.prefix { $0.order == order }
        page = page.dropFirst(own.count)
        return Array(own)
    }
}
