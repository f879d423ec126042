import Primitives

/// Which requests without the password of a base are kept in the journal: whoever knocks for ever must not fill the disk. Nobody is shut out by
/// it, for behind a proxy a stranger and a base have one address. A value: the clock is handed in.
struct StrangersKept: Sendable {
    /// Requests of an address within ``window`` seconds that are kept, and of all addresses together.
    static let limit = 60
    static let totalLimit = 2000
    static let window = 900.0
    /// Addresses that are remembered at most; the ones of longest ago are forgotten.
    static let addressLimit = 10_000

    private struct Knocks { var count: Int, since: Timestamp }
    private var byAddress: [String: Knocks] = [:]
    private var all = Knocks(count: 0, since: Timestamp(milliseconds: 0))

    enum Word: Equatable, Sendable { case kept, lastKept, notKept }

    mutating func knocked(_ address: String, _ now: Timestamp) -> Word {
        var knocks = byAddress[address].flatMap { Self.isOver($0, now) ? nil : $0 } ?? Knocks(count: 0, since: now)
        if Self.isOver(all, now) { all = Knocks(count: 0, since: now) }
        knocks.count += 1
        if knocks.count <= Self.limit { all.count += 1 }
        if byAddress[address] == nil, byAddress.count >= Self.addressLimit { forgetOldest() }
        byAddress[address] = knocks
        if all.count > Self.totalLimit || knocks.count > Self.limit { return .notKept }
        return knocks.count == Self.limit || all.count == Self.totalLimit ? .lastKept : .kept
    }

    /// What lies in the future only a clock that jumped has written.
    private static func isOver(_ knocks: Knocks, _ now: Timestamp) -> Bool {
        knocks.since > now || now.seconds(since: knocks.since) >= window
    }

    private mutating func forgetOldest() {
        let kept = byAddress.sorted { $0.value.since > $1.value.since }.prefix(Self.addressLimit / 2)
        byAddress = Dictionary(kept.map { ($0.key, $0.value) }) { first, _ in first }
    }
}
