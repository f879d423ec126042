import Logging
import Messaging
import Postgres
import Primitives
import ServiceKit
import Synchronization

/// One base that we talk to: its driver, its gates, and what the loops that give it orders and read what it tells have in common. Only here is such
/// a system spoken to; everything else just records work.
final class SystemLine: Sendable {
    /// Giving may fail while reading works, and the other way round: each has a breaker of its own. Clients and goods hold up neither.
    enum Side: Sendable { case sending, reading, catalogs }

    let base: SuiteSettings.Base
    let driver: any AccountingDriver
    let bus: EventBus
    let log: Logger
    /// An order has come for it.
    let signal: Signal
    /// Something is to be read at once.
    let reading = Signal()
    let catalogs = Signal()
    private let gates: Mutex<[Side: SendingGate]>
    private let checked = Mutex<ContinuousClock.Instant?>(nil)
    private let isChecking = Mutex(false)
    private let saidLimits = Mutex<[String]?>(nil)

    /// Seconds after which what the system has is compared again: a configuration changes without notice.
    static let checkPause = 3600.0
    /// Seconds after which a loop that rests looks whether a person has paused or resumed the base.
    static let longestRest = 3.0

    init(_ base: SuiteSettings.Base, _ driver: any AccountingDriver, bus: EventBus, signal: Signal, log: Logger) {
        (self.base, self.driver, self.bus, self.signal, self.log) = (base, driver, bus, signal, log)
        let gate = SendingGate(ratePerMinute: base.ratePerMinute, quiet: base.quietHours)
        gates = Mutex([.sending: gate, .reading: gate, .catalogs: gate])
    }

    var wire: ExchangeWire {
        ExchangeWire(journal: ExchangeJournal(pool: bus.pool), base: base.base, session: .make())
    }

    // MARK: the gates

    private func gate<Value>(_ side: Side, _ body: (inout SendingGate) -> Value) -> Value {
        gates.withLock { gates in
            var gate = gates[side] ?? SendingGate(ratePerMinute: base.ratePerMinute, quiet: base.quietHours)
            defer { gates[side] = gate }
            return body(&gate)
        }
    }

    func mayTalk(_ side: Side) -> SendingGate.Word { gate(side) { $0.mayTalk(.now()) } }
    func maySend() -> SendingGate.Word {
        let now = Timestamp.now()
        return gate(.sending) { $0.maySend(now, clock: String(LocalTime.clock(now).prefix(5))) }
    }
    func sent() { gate(.sending) { $0.sent(.now()) } }

    /// Takes up the breaker where the last process, another instance, or a person has left it.
    private func takeUpGate(_ side: Side) async throws {
        var fresh = SendingGate(ratePerMinute: base.ratePerMinute, quiet: base.quietHours)
        if side == .sending {
            let row = try await bus.pool.query(
                "SELECT failures, closed_until FROM base_state WHERE base = $1", [.text(base.base)]
            ).first
            if let row {
                fresh = SendingGate(
                    ratePerMinute: base.ratePerMinute, quiet: base.quietHours, failures: Int(try row.int("failures")),
                    openUntil: try row.optionalTime("closed_until"))
            }
        }
        gate(side) { $0 = fresh }
    }

    /// The system works, and does what these alarms speak of.
    func answered(_ side: Side, _ alarms: Set<BaseAlarm>, in transaction: EventTransaction) async throws {
        gate(side) { $0.answered() }
        let own: BaseAlarm = side == .sending ? .connection : side == .reading ? .reading : .clients
        try await BaseHealth.works(base.base, alarms.union([own]), in: transaction)
        guard side == .sending else { return }
        transaction.write(
            "UPDATE base_state SET failures = 0, closed_until = NULL WHERE base = $1 AND failures > 0",
            [.text(base.base)])
    }

    /// The system does not work: nothing is tried for a while, and it is said when it lasts.
    private func failed(_ side: Side, _ failure: DriverFailure, unfit alarm: BaseAlarm) async throws {
        var random = SystemRandomNumberGenerator()
        let (state, isSaid) = gate(side) { gate in
            let isSaid = gate.failed(.now(), using: &random)
            return (gate, isSaid)
        }
        try await bus.transaction { [base] transaction in
            if side == .catalogs {
                if isSaid {
                    let words = "клиенты и товары не читаются: \(failure.words)"
                    try await BaseHealth.failing(base.base, .clients, words, in: transaction)
                }
                return
            }
            if side == .sending {
                try await transaction.query(
                    """
                    INSERT INTO base_state (base, failures, closed_until) VALUES ($1, $2, $3)
                    ON CONFLICT (base) DO UPDATE SET failures = excluded.failures, closed_until = excluded.closed_until
                    """, [.text(base.base), .int(state.failures), .time(state.openUntil)])
            }
            if case .unfit = failure {
                try await BaseHealth.failing(base.base, alarm, failure.words, in: transaction)
            } else if isSaid {
                // One outage is one message, whichever side meets it first; both may meet it at once.
                try await transaction.query(
                    """
                    INSERT INTO base_state (base) VALUES ($1) ON CONFLICT (base) DO UPDATE SET base = excluded.base
                    """, [.text(base.base)])
                let (own, other): (BaseAlarm, BaseAlarm) =
                    side == .sending ? (.connection, .reading) : (.reading, .connection)
                let isKnown = try await !transaction.query(
                    "SELECT 1 AS one FROM base_alarm WHERE base = $1 AND kind = $2",
                    [.text(base.base), .text(other.rawValue)]
                ).isEmpty
                if !isKnown { try await BaseHealth.failing(base.base, own, failure.words, in: transaction) }
            }
        }
    }

    // MARK: loops

    /// Runs `round` again and again while we lead and no person has paused the base. It says how long it may rest.
    func loop(
        _ what: String, _ side: Side, wakenBy signal: Signal, _ round: @Sendable () async throws -> Double
    ) async throws {
        var wasWorking = false
        var resumed: Timestamp?
        var rests = ContinuousClock.now
        while !Task.isCancelled {
            var rest = 1.0
            // Pokes that come during the round count, too.
            let pokes = signal.pokes
            do {
                let state = bus.missing == nil ? try await permission() : nil
                if let state {
                    if !wasWorking || state.resumedAt != resumed {
                        try await takeUpGate(side)
                        rests = .now
                    }
                    resumed = state.resumedAt
                    if rests <= .now {
                        rests = .now + .seconds(try await check(side) ? round() : 1)
                    }
                    rest = min(Self.longestRest, ContinuousClock.now.duration(to: rests).seconds)
                }
                wasWorking = state != nil
            } catch let failure as DriverFailure {
                log.warning(
                    "\(what) of a base waits", metadata: ["base": "\(base.base)", "reason": "\(failure.words)"])
                // What the check itself has found, or what came to light in spite of it.
                let alarm: BaseAlarm = checked.withLock { $0 == nil } ? .format : side == .sending ? .rights : .reading
                if case .unfit = failure, side != .catalogs {
                    checked.withLock { $0 = nil }
                    if alarm == .format { saidLimits.withLock { $0 = nil } }
                }
                try await failed(side, failure, unfit: alarm)
                if case .wait(let seconds) = mayTalk(side) { rests = .now + .seconds(seconds) }
                rest = min(Self.longestRest, ContinuousClock.now.duration(to: rests).seconds)
            } catch let error as PostgresError where error.isTransient {
                log.warning("\(what) of a base waits", metadata: ["base": "\(base.base)", "reason": "\(error)"])
            }
            if rest > 0 { await signal.wait(seconds: rest) }
            if signal.pokes != pokes, mayTalk(side) == .go { rests = .now }
        }
    }

    private struct Permission { let resumedAt: Timestamp? }

    func isPaused() async throws -> Bool { try await permission() == nil }

    /// Nil while a person has paused the base.
    private func permission() async throws -> Permission? {
        let row = try await bus.pool.query(
            "SELECT paused_by, resumed_at FROM base_state WHERE base = $1", [.text(base.base)]
        ).first
        guard let row else { return Permission(resumedAt: nil) }
        return try row.optionalString("paused_by") == nil
            ? Permission(resumedAt: try row.optionalTime("resumed_at")) : nil
    }

    /// Whether a system that did not work works again, when there is nothing to be given that would tell.
    func probe() async throws {
        guard gate(.sending, { $0.failures > 0 }), mayTalk(.sending) == .go else { return }
        try await driver.check(wire)
        try await bus.transaction { try await self.answered(.sending, [], in: $0) }
    }

    // MARK: fit

    /// Whether it has what the exchange needs: at the start, every hour, and after it turned out not to. One loop asks, the others wait.
    ///
    /// - Returns: whether it may be talked to.
    private func check(_ side: Side) async throws -> Bool {
        let last = checked.withLock { $0 }
        if let last, last.duration(to: .now).seconds < Self.checkPause { return true }
        guard mayTalk(side) == .go else { return false }
        let isMine = isChecking.withLock { isChecking in
            defer { isChecking = true }
            return !isChecking
        }
        guard isMine else {
            // What was checked before holds until it is checked anew; at the very start nothing holds.
            return last != nil
        }
        defer { isChecking.withLock { $0 = false } }
        try await driver.check(wire)
        checked.withLock { $0 = .now }
        try await bus.transaction { try await self.answered(side, [], in: $0) }
        // What only a question can show is not over because the description looks well.
        let isOpen = saidLimits.withLock { $0?.isEmpty == false } && driver.limits.isEmpty && !driver.tellsUnasked
        if !isOpen { try await tellLimits() }
        return true
    }

    /// What it turned out to lack is said, and its end is said.
    func tellLimits() async throws {
        let limits = driver.limits
        guard saidLimits.withLock({ $0 }) != limits else { return }
        try await bus.transaction { [base] transaction in
            if limits.isEmpty {
                try await BaseHealth.works(base.base, [.format], in: transaction)
            } else {
                try await BaseHealth.failing(base.base, .format, limits.joined(separator: "; "), in: transaction)
            }
        }
        saidLimits.withLock { $0 = limits }
    }
}
