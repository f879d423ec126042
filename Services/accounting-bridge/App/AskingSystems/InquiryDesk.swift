import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit
import Synchronization

/// Asks the bases what they can be asked. A base that does not answer is left alone for a while, and its questions hold up nothing else: neither
/// its orders, nor another base's.
struct InquiryDesk: Sendable {
    let pool: PostgresPool
    private let lines: [String: Line]

    /// Questions under way to one base at most: each takes a session of 1C's.
    static let limit = 4

    private final class Line: Sendable {
        let channel: any InquiryChannel
        let state = Mutex((gate: SendingGate(ratePerMinute: 60_000), asked: 0))
        init(_ channel: any InquiryChannel) { self.channel = channel }
    }

    /// - Parameter channels: by base; a base that is not there cannot be asked.
    init(pool: PostgresPool, channels: [String: any InquiryChannel]) {
        self.pool = pool
        lines = channels.mapValues { Line($0) }
    }

    var bases: Set<String> { Set(lines.keys) }

    /// - Throws: ``Problem``: 409 for a base that cannot be asked or is paused, 422 for its own refusal, 503 when it does not answer, 429 when too many
    ///   ask it.
    func ask<Value: Sendable>(
        _ base: String, _ inquiry: Inquiry, order: (number: String, journey: ID?)? = nil,
        understand: @Sendable (InquiryAnswer) throws -> (Value, [String])
    ) async throws -> (value: Value, exchange: ID) {
        guard let line = lines[base] else {
            throw Problem.conflict("базу \(base) спросить нельзя: в её настройках нет inquiries")
        }
        let paused = try await pool.query(
            "SELECT paused_by FROM base_state WHERE base = $1 AND paused_by IS NOT NULL", [.text(base)]
        ).first?.string("paused_by")
        if let paused { throw Problem.conflict("обмен с базой \(base) приостановил \(paused)") }
        try enter(line, base)
        defer { line.state.withLock { $0.asked -= 1 } }
        var wire = ExchangeWire(journal: ExchangeJournal(pool: pool), base: base, session: .make())
        wire.order = order
        do {
            let answer = try await line.channel.ask(inquiry, wire, understand: understand)
            line.state.withLock { $0.gate.answered() }
            return answer
        } catch DriverFailure.refused(let words) {
            line.state.withLock { $0.gate.answered() }
            throw Problem.invalid("1С \(base): \(words)")
        } catch let failure as DriverFailure {
            var random = SystemRandomNumberGenerator()
            line.state.withLock { state in _ = state.gate.failed(.now(), using: &random) }
            throw Self.away("1С \(base) не ответила: \(failure.words)")
        }
    }

    private func enter(_ line: Line, _ base: String) throws {
        try line.state.withLock { state in
            if case .wait(let seconds) = state.gate.mayTalk(.now()) {
                throw Self.away("1С \(base) не отвечает, снова спросим через \(Int(seconds.rounded(.up))) с")
            }
            guard state.asked < Self.limit else {
                throw Problem(
                    .tooManyRequests, "too-many", "The base is asked too much at once",
                    detail: "базу \(base) уже спрашивают \(Self.limit) раза сразу, повторите через несколько секунд")
            }
            state.asked += 1
        }
    }

    private static func away(_ detail: String) -> Problem {
        Problem(.serviceUnavailable, "base-away", "The base does not answer", detail: detail)
    }
}
