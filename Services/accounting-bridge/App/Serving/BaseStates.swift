import Contracts
import Postgres
import Primitives
import ServiceKit

/// How each base stands: what waits for it, since when, and for how long yet.
struct BaseStates: Sendable {
    let pool: PostgresPool
    let settings: SuiteSettings

    struct Alarm: AnswerShape {
        let kind, cause: String
        let since: Timestamp
    }
    struct View: AnswerShape {
        let base, driver: String
        let tellsPayments: Bool
        let cannotTell: String?
        let waiting, doubtful: Int64
        let waitingSince, lastContact, lastSuccess, lastRead: Timestamp?
        /// Whether it answers when it is asked, and orders that are to be asked for now.
        let isAsked: Bool
        let unread: Int64
        /// Exchanges of the last 24 hours, and those of them that failed, were refused or parked.
        let exchanges, troubles: Int64
        /// Seconds that the oldest order waits, and since what the base tells was read or it was here.
        let lagOutSeconds, lagInSeconds: Double?
        /// Seconds until all that waits is through; null while nobody can say.
        let drainSeconds: Double?
        let drainSecondsUnknown: String?
        /// `closed`, `open`; null for a base that comes to us.
        let breaker: String?
        let breakerUntil: Timestamp?
        let ratePerMinute: Int64?
        let quietHours: String?
        let duplicatesPrevented: Int64
        let pausedBy, failingCause: String?
        let failingSince: Timestamp?
        let alarms: [Alarm]
    }

    func all() async throws -> [View] {
        let answers = try await pool.run([
            Statement(
                """
                SELECT b.base, coalesce(s.tells_payments, false) AS tells_payments, s.last_contact, s.last_success,
                    s.last_read, s.paused_by, s.failures, s.closed_until, s.duplicates_prevented, s.send_seconds,
                    s.batch_limit, w.n AS waiting, w.doubtful, w.since AS waiting_since,
                    extract(epoch FROM now() - w.since) AS lag_out,
                    extract(epoch FROM now() - coalesce(s.last_read, s.last_contact)) AS lag_in,
                    t.exchanges, t.troubles,
                    (SELECT count(*) FROM order_out o WHERE o.base = b.base AND o.ask_at < now() - interval '30 seconds')
                        + (SELECT count(*) FROM order_books k JOIN order_out o ON o.id = k.order_id
                            WHERE k.base = b.base AND k.ask_at < now() - interval '30 seconds' AND o.state = 'sent') AS unread,
                    (SELECT extract(epoch FROM max(started_at) - min(started_at)) / nullif(count(*) - 1, 0) FROM (
                        SELECT started_at FROM onec_session WHERE base = b.base AND type = 'sale'
                        ORDER BY started_at DESC LIMIT 10) AS t) AS session_pause
                FROM unnest($1::text[]) AS b (base) LEFT JOIN base_state s ON s.base = b.base
                CROSS JOIN LATERAL (
                    SELECT count(*) AS n, count(*) FILTER (WHERE o.state = 'doubtful') AS doubtful,
                        min(o.requested_at) AS since
                    FROM order_out o WHERE o.base = b.base AND o.\(OrderQueue.waits)) AS w
                CROSS JOIN LATERAL (
                    SELECT count(*) AS exchanges, count(*) FILTER (WHERE result IN ('failed', 'refused', 'parked')) AS troubles
                    FROM exchange e WHERE e.base = b.base AND e.at > now() - interval '24 hours'
                        AND e.id >= first_id_of(((now() AT TIME ZONE 'UTC') - interval '24 hours')::date)) AS t
                """, [.texts(settings.bases.map(\.base))]),
            Statement(
                "SELECT base, kind, cause, since FROM base_alarm WHERE base = ANY($1::text[]) ORDER BY since",
                [.texts(settings.bases.map(\.base))]),
        ])
        var alarms: [String: [Alarm]] = [:]
        for row in answers[1] {
            alarms[try row.string("base"), default: []].append(
                Alarm(kind: try row.string("kind"), cause: try row.string("cause"), since: try row.time("since")))
        }
        let states = try Dictionary(uniqueKeysWithValues: answers[0].map { (try $0.string("base"), $0) })
        return try settings.bases.compactMap { base in
            try states[base.base].map { try view(base, $0, alarms[base.base] ?? []) }
        }
    }

    private func view(_ base: SuiteSettings.Base, _ row: Row, _ alarms: [Alarm]) throws -> View {
        let isActive = base.driver != .commerceml
        let tells = try row.bool("tells_payments")
        let closedUntil = try row.optionalTime("closed_until").flatMap { $0 > .now() ? $0 : nil }
        let paused = try row.optionalString("paused_by")
        let drain = paused == nil ? try drain(base, row) : nil
        return View(
            base: base.base, driver: base.driver.rawValue, tellsPayments: tells,
            cannotTell: tells ? nil : "частичные оплаты: эта база ещё не присылала их документами",
            waiting: try row.int("waiting"), doubtful: try row.int("doubtful"),
            waitingSince: try row.optionalTime("waiting_since"), lastContact: try row.optionalTime("last_contact"),
            lastSuccess: try row.optionalTime("last_success"), lastRead: try row.optionalTime("last_read"),
            isAsked: ReadingAnew.isAsked(base.driver),
            unread: ReadingAnew.isAsked(base.driver) ? try row.int("unread") : 0,
            exchanges: try row.int("exchanges"), troubles: try row.int("troubles"),
            lagOutSeconds: try row.optionalDouble("lag_out") ?? 0,
            lagInSeconds: try row.optionalDouble("lag_in"), drainSeconds: drain,
            drainSecondsUnknown: drain == nil
                ? paused.map { "приостановил: \($0)" } ?? "база не отвечает, или скорость ещё неизвестна" : nil,
            breaker: isActive ? (closedUntil == nil ? "closed" : "open") : nil, breakerUntil: closedUntil,
            ratePerMinute: isActive ? base.ratePerMinute : nil, quietHours: base.quietHours?.description,
            duplicatesPrevented: try row.optionalInt("duplicates_prevented") ?? 0, pausedBy: paused,
            failingCause: alarms.first?.cause, failingSince: alarms.first?.since, alarms: alarms)
    }

    private func drain(_ base: SuiteSettings.Base, _ row: Row) throws -> Double? {
        let waiting = try row.int("waiting")
        guard waiting > 0 else { return 0 }
        guard base.driver == .commerceml else {
            let gate = SendingGate(
                ratePerMinute: base.ratePerMinute, failures: Int(try row.optionalInt("failures") ?? 0))
            // Nothing goes before the quiet hours are over.
            let clock = String(LocalTime.clock(.now()).prefix(5))
            let quiet = Double(60 * (base.quietHours?.minutesLeft(clock) ?? 0))
            return gate.drain(waiting, seconds: try row.optionalDouble("send_seconds")).map { quiet + $0 }
        }
        // A session takes one batch; they come as often as the last ten did.
        guard let pause = try row.optionalDouble("session_pause"), let batch = try row.optionalInt("batch_limit"),
            batch > 0
        else { return nil }
        return Double((waiting + batch - 1) / batch) * pause
    }
}
