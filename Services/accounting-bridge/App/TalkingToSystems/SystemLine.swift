import Logging
import Messaging
import Postgres
import Primitives
import ServiceKit
import Synchronization

/// One base that we talk to: its driver, its gate, and the two loops that give it orders and read what it tells. Only here is such a system
/// spoken to; everything else just records work.
final class SystemLine: Sendable {
    let base: SuiteSettings.Base
    let driver: any AccountingDriver
    let bus: EventBus
    let log: Logger
    /// An order has come for it.
    let signal: Signal
    /// Something is to be read at once.
    let reading = Signal()
    let clients = Signal()
    private let gate: Mutex<SendingGate>
    private let checked = Mutex<ContinuousClock.Instant?>(nil)

    /// Seconds after which what the system has is compared again: a configuration changes without notice.
    static let checkPause = 3600.0

    init(
        _ base: SuiteSettings.Base, _ driver: any AccountingDriver, bus: EventBus, signal: Signal, log: Logger
    ) {
        (self.base, self.driver, self.bus, self.signal, self.log) = (base, driver, bus, signal, log)
        gate = Mutex(SendingGate(ratePerMinute: base.ratePerMinute, quiet: base.quietHours))
    }

    var wire: ExchangeWire {
        ExchangeWire(journal: ExchangeJournal(pool: bus.pool), base: base.base, session: .make())
    }

    // MARK: the gate

    private func takeUpGate() async throws {
        let row = try await bus.pool.query(
            "SELECT failures, closed_until FROM base_state WHERE base = $1", [.text(base.base)]
        ).first
        guard let row else { return }
        let fresh = SendingGate(
            ratePerMinute: base.ratePerMinute, quiet: base.quietHours, failures: Int(try row.int("failures")),
            openUntil: try row.optionalTime("closed_until"))
        gate.withLock { $0 = fresh }
    }

    func mayTalk() -> SendingGate.Word { gate.withLock { $0.mayTalk(.now()) } }
    func maySend() -> SendingGate.Word {
        let now = Timestamp.now()
        return gate.withLock { $0.maySend(now, clock: String(LocalTime.clock(now).prefix(5))) }
    }
    func sent() { gate.withLock { $0.sent(.now()) } }

    /// The system works, and does what these alarms speak of.
    func answered(_ alarms: Set<BaseAlarm>, in transaction: EventTransaction) async throws {
        gate.withLock { $0.answered() }
        try await BaseHealth.works(base.base, alarms.union([.connection]), in: transaction)
        transaction.write(
            "UPDATE base_state SET failures = 0, closed_until = NULL WHERE base = $1 AND failures > 0",
            [.text(base.base)])
    }

    /// The system does not work: nothing is tried for a while, and it is said when it lasts.
    func failed(_ failure: DriverFailure) async throws {
        var random = SystemRandomNumberGenerator()
        let (state, isSaid) = gate.withLock { gate in
            let isSaid = gate.failed(.now(), using: &random)
            return (gate, isSaid)
        }
        try await bus.transaction { [base] transaction in
            try await transaction.query(
                """
                INSERT INTO base_state (base, failures, closed_until) VALUES ($1, $2, $3)
                ON CONFLICT (base) DO UPDATE SET failures = excluded.failures, closed_until = excluded.closed_until
                """, [.text(base.base), .int(state.failures), .time(state.openUntil)])
            if case .unfit = failure {
                try await BaseHealth.failing(base.base, .format, failure.words, in: transaction)
            } else if isSaid {
                try await BaseHealth.failing(base.base, .connection, failure.words, in: transaction)
            }
        }
    }

    // MARK: loops

    /// Runs `round` again and again while we lead and no person has paused the base. It says how long it may rest.
    func loop(_ what: String, wakenBy signal: Signal, _ round: @Sendable () async throws -> Double) async throws {
        var wasWorking = false
        while !Task.isCancelled {
            var rest = 1.0
            do {
                let leads = bus.missing == nil
                let works = leads ? try await !isPaused() : false
                // The breaker stands where the last process, another instance, or a person has left it.
                if works, !wasWorking { try await takeUpGate() }
                wasWorking = works
                if works {
                    try await check()
                    rest = try await round()
                }
            } catch let failure as DriverFailure {
                log.warning(
                    "\(what) of a base waits", metadata: ["base": "\(base.base)", "reason": "\(failure.words)"])
                checked.withLock { $0 = nil }
                try await failed(failure)
                if case .wait(let seconds) = mayTalk() { rest = seconds }
            } catch let error as PostgresError where error.isTransient {
                log.warning("\(what) of a base waits", metadata: ["base": "\(base.base)", "reason": "\(error)"])
            }
            if rest > 0 { await signal.wait(seconds: rest) }
        }
    }

    /// Whether it has what the exchange needs: at the start, and after each time that it was not reached.
    private func check() async throws {
        let last = checked.withLock { $0 }
        if let last, ContinuousClock.now - last < .seconds(Self.checkPause) { return }
        guard mayTalk() == .go else { return }
        let limits = try await driver.check(wire)
        checked.withLock { $0 = .now }
        try await bus.transaction { [base] transaction in
            if limits.isEmpty {
                try await BaseHealth.works(base.base, [.format], in: transaction)
            } else {
                try await BaseHealth.failing(base.base, .format, limits.joined(separator: "; "), in: transaction)
            }
        }
    }

    private func isPaused() async throws -> Bool {
        try await !bus.pool.query(
            "SELECT 1 AS one FROM base_state WHERE base = $1 AND paused_by IS NOT NULL", [.text(base.base)]
        ).isEmpty
    }
}
