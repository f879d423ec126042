import Primitives

/// Who tries passwords at the door that bases come to. An address that has never been let in is shut out after too many wrong ones, with the
/// right one, too, or guessing would end in the first that fits; one that has been let in is not, for the base behind the same
/// proxy goes on. A value: the clock is handed in.
struct PasswordGuesses: Sendable {
    /// Wrong passwords of an address within ``window`` seconds that are answered and kept in the journal.
    static let limit = 60
    static let window = 900.0
    /// Addresses that are remembered at most; the ones of longest ago are forgotten.
    static let addressLimit = 10_000

    private struct Wrong { var count: Int, since: Timestamp }
    private var wrong: [String: Wrong] = [:]
    private var letIn: Set<String> = []

    enum Word: Equatable, Sendable {
        case wrong
        /// The last one that is kept.
        case lastKept
        /// It is not looked at, or not kept, any more.
        case tooMany
    }

    func isShutOut(_ address: String, _ now: Timestamp) -> Bool {
        !letIn.contains(address) && (current(address, now)?.count ?? 0) >= Self.limit
    }

    mutating func failed(_ address: String, _ now: Timestamp) -> Word {
        var one = current(address, now) ?? Wrong(count: 0, since: now)
        one.count += 1
        if wrong[address] == nil, wrong.count >= Self.addressLimit { forgetOldest() }
        wrong[address] = one
        return one.count < Self.limit ? .wrong : one.count == Self.limit ? .lastKept : .tooMany
    }

    mutating func admitted(_ address: String) {
        if letIn.count >= Self.addressLimit, !letIn.contains(address) { letIn = [] }
        letIn.insert(address)
    }

    /// What lies in the future only a clock that jumped has written.
    private func current(_ address: String, _ now: Timestamp) -> Wrong? {
        wrong[address].flatMap { $0.since <= now && now.seconds(since: $0.since) < Self.window ? $0 : nil }
    }

    private mutating func forgetOldest() {
        let kept = wrong.sorted { $0.value.since > $1.value.since }.prefix(Self.addressLimit / 2)
        wrong = Dictionary(kept.map { ($0.key, $0.value) }) { first, _ in first }
    }
}
