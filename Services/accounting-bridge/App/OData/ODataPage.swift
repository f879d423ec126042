import Contracts
import Primitives

/// Where a page of a set begins. By key no page shifts while others write; places counted from the beginning do (reference b.8).
enum ODataPlace: Sendable, Equatable {
    /// Behind the entity with this key, which was the `count`-th.
    case after(key: String, count: Int)
    /// Behind so many: for a base that does not compare keys, and for records that have none.
    case skipping(Int)

    static let start = ODataPlace.skipping(0)

    /// How it is kept between two pages: `after 0198… 500`, `skipping 480`.
    var text: String {
        switch self {
        case .after(let key, let count): "after \(key) \(count)"
        case .skipping(let count): "skipping \(count)"
        }
    }

    init?(_ text: String) {
        let words = text.split(separator: " ")
        switch (words.first, words.count) {
        case ("after", 3):
            guard let count = Int(words[2]), ID(String(words[1])) != nil else { return nil }
            self = .after(key: String(words[1]), count: count)
        case ("skipping", 2):
            guard let count = Int(words[1]), count >= 0 else { return nil }
            self = .skipping(count)
        default: return nil
        }
    }

    private static let overlap = 20

    /// Places that are counted overlap a little: what others make meanwhile shifts them.
    var overlapping: ODataPlace {
        if case .skipping(let count) = self { .skipping(count - Self.overlap) } else { self }
    }

    /// How many entities lie before it.
    var count: Int {
        switch self {
        case .after(_, let count): count
        case .skipping(let count): count
        }
    }
}

/// Some rows of a set, in the order of their keys.
struct ODataPage: Sendable {
    let rows: [RawJSON]
    let exchange: ID
    /// Where the next one begins; nil at the end.
    let next: ODataPlace?
}
