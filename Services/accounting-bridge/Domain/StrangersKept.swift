import Primitives

/// Which requests without the password of a base are kept in the journal: whoever knocks for ever must not fill the disk. Nobody is shut out by
/// it, for behind a proxy a stranger and a base have one address. A value: the clock is handed in.
struct StrangersKept: Sendable {
    /// Requests of an address within ``window`` seconds that are kept.
    static let limit = 60
    static let window = 900.0
    /// Addresses that are remembered at most; the ones of longest ago are forgotten.
    static let addressLimit = 10_000

    private struct Knocks { var count: Int, since: Timestamp }
    private var byAddress: [String: Knocks] = [:]

    enum Word: Equatable, Sendable { case kept, lastKept, notKept }

    mutating func knocked(_ address: String, _ now: Timestamp) -> Word {
        var knocks = current(address, now) ?? Knocks(count: 0, since: now)
        knocks.count += 1
        if byAddress[address] == nil, byAddress.count >= Self.addressLimit { forgetOldest() }
        byAddress[address] = knocks
        return knocks.count < Self.limit ? .kept : knocks.count == Self.limit ? .lastKept : .notKept
    }

    /// What lies in the future only a clock that jumped has written.
    private func current(_ address: String, _ now: Timestamp) -> Knocks? {
        byAddress[address].flatMap { $0.since <= now && now.seconds(since: $0.since) < Self.window ? $0 : nil }
    }

    private mutating func forgetOldest() {
        let kept = byAddress.sorted { $0.value.since > $1.value.since }.prefix(Self.addressLimit / 2)
        byAddress = Dictionary(kept.map { ($0.key, $0.value) }) { first, _ in first }
    }
}
