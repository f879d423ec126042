/// How far one subscription is, for status pages and metrics.
public struct SubscriptionStatus: Codable, Sendable {
    public var publisher = ""
    /// Publisher, stream and lane: `crm-core/crm-core/main`.
    public var name = ""
    public var phase = "INIT"
    /// Where effects are durable.
    public var seq: Int64 = 0
    /// The publisher's last number, as far as it is known.
    public var head: Int64 = 0
    /// Events not taken yet.
    public var lag: Int64 = 0
    /// Seconds since nothing was behind.
    public var lagSeconds = 0.0
    var behindSince: Double?
    /// Events a second, over the last seconds in which some were taken.
    public var rate = 0.0
    /// Seconds until nothing is behind, at that rate; absent when it cannot be told.
    public var drainSeconds: Double?
    /// What it waits for and for how many seconds, in words; absent while it flows.
    public var waitsFor: String?
    public var waitsSeconds: Double?
    /// The last thing that was not as it should be, since the process began.
    public var lastAlarm: String?
    /// Events that came by asking and not live.
    public var refilled: Int64 = 0
    public var dropped = 0
    public var stopped = false

    private enum CodingKeys: CodingKey {
        case publisher, name, phase, seq, head, lag, lagSeconds, rate, drainSeconds, waitsFor, waitsSeconds
        case lastAlarm, refilled, dropped, stopped
    }

    mutating func name(_ stream: StreamName) {
        publisher = stream.publisher
        name = stream.description
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
