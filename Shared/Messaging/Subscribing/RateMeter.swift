/// How many a second, over the last seconds in which there were some.
struct RateMeter: Sendable {
    private(set) var rate = 0.0
    private var since: Double?
    private var counted: Int64 = 0

    /// Seconds over which it is measured.
    static let window = 5.0

    mutating func count(_ count: Int64, now: Double) {
        guard count > 0 || counted > 0 else { return }
        let begin = since ?? now
        since = begin
        counted += max(0, count)
        guard now - begin >= Self.window else { return }
        rate = Double(counted) / (now - begin)
        since = nil
        counted = 0
    }
}

extension SubscriptionStatus {
    mutating func note(_ machine: SubscriptionMachine, _ meter: RateMeter, now: Double) {
        phase = machine.phase.words
        seq = machine.durable.seq
        head = max(machine.head, machine.durable.seq)
        lag = head - seq
        behindSince = lag > 0 ? behindSince ?? now : nil
        lagSeconds = behindSince.map { now - $0 } ?? 0
        refilled = machine.refilled
        stopped =
            switch machine.phase {
            case .stopped, .settling, .paused: true
            case .hello, .syncing, .live: false
            }
        rate = meter.rate
        drainSeconds = lag == 0 ? 0 : meter.rate > 0 ? Double(lag) / meter.rate : nil
        (waitsFor, waitsSeconds) = machine.waiting(now: now).map { ($0.0, $0.1) } ?? (nil, nil)
    }
}
