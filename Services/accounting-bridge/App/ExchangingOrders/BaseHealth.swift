import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit

/// What can be wrong with the exchange with a base; each is said, and its end is said, apart from the others.
enum BaseAlarm: String, Sendable, CaseIterable {
    /// Orders on their way to it.
    case orders
    /// Orders that it does not take.
    case refusals
    /// What it tells of orders and is not understood.
    case documents
    /// What it tells of orders.
    case answers
    /// Its catalogs.
    case goods
    /// Nothing moves in one direction for too long.
    case silence
    /// It opens sessions and brings nothing.
    case empty
    /// It is not reached, or orders cannot be given to it.
    case connection
    /// What it tells cannot be read.
    case reading
    /// Its clients and goods cannot be read.
    case clients
    /// It does not let us do what was tried.
    case rights
    /// It lacks something that the exchange needs.
    case format

    /// Those that keep orders from going out.
    static let stopping: [BaseAlarm] = [.connection, .rights, .format, .silence]
}

/// Whether the exchange with a base works; each cause is said once, and its end once.
enum BaseHealth {
    /// Characters of a cause that are told.
    private static let causeLimit = 1000

    static func failing(_ base: String, _ alarm: BaseAlarm, _ cause: String, in transaction: EventTransaction)
        async throws
    {
        let id = ID.make()
        let cause = String(cause.prefix(causeLimit))
        // Of a state that lasts only the first word is a message; later causes replace its text.
        let isState = [BaseAlarm.connection, .reading, .clients, .rights, .format, .silence, .empty].contains(alarm)
        let before = try await transaction.query(
            "SELECT cause, cause_id FROM base_alarm WHERE base = $1 AND kind = $2 FOR UPDATE",
            [.text(base), .text(alarm.rawValue)]
        ).first
        if let before {
            if isState {
                try await transaction.query(
                    "UPDATE base_alarm SET cause = $3 WHERE base = $1 AND kind = $2",
                    [.text(base), .text(alarm.rawValue), .text(cause)])
                return
            }
            guard try before.string("cause") != cause else { return }
            try await end(base, [alarm], in: transaction)
        }
        let changed = try await transaction.query(
            """
            INSERT INTO base_alarm (base, kind, cause, cause_id, since) VALUES ($1, $2, $3, $4, now())
            ON CONFLICT (base, kind) DO NOTHING
            """, [.text(base), .text(alarm.rawValue), .text(cause), .id(id)]
        ).affected
        guard changed == 1 else { return }
        try transaction.emit(
            ExchangeFailing(base: base, cause: cause, causeId: id, since: .now(), kind: alarm.rawValue),
            key: "base:\(base)",
            correlation: nil, causation: nil)
    }

    /// It has answered, and what these alarms speak of works.
    static func works(_ base: String, _ alarms: Set<BaseAlarm>, in transaction: EventTransaction) async throws {
        try await transaction.query(
            """
            INSERT INTO base_state (base, last_contact, last_success) VALUES ($1, now(), now())
            ON CONFLICT (base) DO UPDATE SET last_contact = now(), last_success = now()
            """, [.text(base)])
        try await end(base, alarms, in: transaction)
    }

    static func end(_ base: String, _ alarms: Set<BaseAlarm>, in transaction: EventTransaction) async throws {
        let ended = try await transaction.query(
            "DELETE FROM base_alarm WHERE base = $1 AND kind = ANY($2::text[]) RETURNING cause_id",
            [.text(base), .texts(alarms.map(\.rawValue))])
        for row in ended {
            try transaction.emit(
                ExchangeRecovered(base: base, causeId: try row.id("cause_id"), by: "1С \(base)"), key: "base:\(base)",
                correlation: nil, causation: nil)
        }
    }

    /// Minutes that an order may wait for a base, or a base's answers for us, before it is said.
    static let lagMinutes = 5

    /// Days for which a base must have come before it is known how long it stays away, and days that are looked at.
    static let habitDays = 8
    static let memoryDays = 15

    /// Bases in which nothing moves. A pause by a person is no silence, nor are hours in which nothing is sent.
    static func watch(_ bus: EventBus, _ bases: [SuiteSettings.Base]) async throws {
        while !Task.isCancelled {
            if bus.missing == nil {
                let clock = String(LocalTime.clock(.now()).prefix(5))
                try await bus.transaction { transaction in
                    try await forget(bases, in: transaction)
                    for base in bases {
                        let causes: [(BaseAlarm, String?)] = [
                            (.silence, try await silence(base, clock, in: transaction)),
                            (.empty, try await emptiness(base, in: transaction)),
                        ]
                        for (alarm, cause) in causes {
                            if let cause {
                                try await failing(base.base, alarm, cause, in: transaction)
                            } else {
                                try await end(base.base, [alarm], in: transaction)
                            }
                        }
                    }
                }
            }
            try await Task.sleep(for: .seconds(15))
        }
    }

    /// Alarms about bases that are not in the settings any more, or of a kind that their driver does not have.
    private static func forget(_ bases: [SuiteSettings.Base], in transaction: EventTransaction) async throws {
        let ours: [BaseAlarm] = [.connection, .reading, .clients, .rights, .format]
        let passive = bases.filter { $0.driver == .commerceml }.map(\.base)
        let rows = try await transaction.query(
            """
            SELECT base, kind FROM base_alarm
            WHERE base <> ALL($1::text[]) OR (base = ANY($2::text[]) AND kind = ANY($3::text[]))
            """, [.texts(bases.map(\.base)), .texts(passive), .texts(ours.map(\.rawValue))])
        for row in rows {
            guard let alarm = BaseAlarm(rawValue: try row.string("kind")) else { continue }
            try await end(try row.string("base"), [alarm], in: transaction)
        }
    }

    /// Sessions that begin and bring nothing, when that is no chance. УНФ deletes its files after a failure, so that its next attempt finds nothing to send
    /// and counts the changes as delivered (reference 24); and nobody opens an exchange of orders without asking for any.
    private static func emptiness(_ base: SuiteSettings.Base, in transaction: EventTransaction) async throws -> String?
    {
        guard base.driver == .commerceml else { return nil }
        let sessions = try await transaction.query(
            """
            SELECT s.type, bool_or(e.kind LIKE '%.init') AND NOT bool_or(e.kind ~ '[.](query|file|import)$') AS is_empty,
                -- What was set aside was answered with success.
                bool_or(e.kind ~ '[.](file|import)$' AND (e.result IN ('failed', 'refused')
                    OR e.result = 'open' AND e.at < now() - interval '1 minute')) AS has_failed
            FROM (SELECT id, type, started_at FROM onec_session WHERE base = $1 ORDER BY started_at DESC LIMIT 40) AS s
            JOIN exchange e ON e.session = s.id GROUP BY s.id, s.type, s.started_at
            -- One that has brought something so far, or that is over: the next one has begun, or nothing more has come for a while.
            HAVING (bool_or(e.kind ~ '[.](query|file|import)$') OR max(e.at) < now() - interval '1 minute'
                OR s.started_at < (SELECT max(started_at) FROM onec_session WHERE base = $1))
                -- A log-in alone is somebody's test of the connection.
                AND bool_or(e.kind NOT LIKE '%.checkauth')
            ORDER BY s.started_at DESC
            """, [.text(base.base)])
        for sessions in try Dictionary(grouping: sessions, by: { try $0.string("type") }).values {
            guard try sessions[0].bool("is_empty") else { continue }
            if try sessions.first(where: { try !$0.bool("is_empty") })?.bool("has_failed") == true {
                return
                    "после файла, который не удалось принять, 1С открыла сеанс и ничего не передала: изменения могли потеряться, выгрузите изменения заново"
            }
        }
        let orders = try sessions.filter { try $0.string("type") == "sale" }.prefix(3)
        return try orders.count == 3 && orders.allSatisfy { try $0.bool("is_empty") }
            ? "три сеанса обмена заказами подряд не запросили заказов и ничего не передали: проверьте настройки узла обмена в 1С"
            : nil
    }

    /// Why a base counts as silent.
    private static func silence(_ base: SuiteSettings.Base, _ clock: String, in transaction: EventTransaction)
        async throws
        -> String?
    {
        let isActive = base.driver != .commerceml
        let before = String(LocalTime.clock(Timestamp.now().adding(seconds: -60 * Double(lagMinutes))).prefix(5))
        let patience = isActive ? max(lagMinutes * 60, 3 * Int(base.readSeconds)) : lagMinutes * 60
        let row = try await transaction.query(
            """
            SELECT b.paused_by, b.last_read < now() - make_interval(secs => $2::int) AS is_unread,
                -- Who logs in, or brings goods, has not asked for orders by that.
                NOT EXISTS (SELECT 1 FROM onec_session s WHERE s.base = $1 AND s.type = 'sale' AND s.batch IS NOT NULL
                    AND s.started_at > now() - interval '\(lagMinutes) minutes') AS is_away,
                -- Nights and week-ends are gaps, too: it is missed when it stays away longer than it ever did.
                g.n >= 10 AND g.since < now() - interval '\(habitDays) days'
                    AND b.last_contact < now() - greatest(interval '\(lagMinutes) minutes', 1.5 * g.gap) AS is_gone,
                EXISTS (SELECT 1 FROM order_out o WHERE o.base = $1 AND o.\(OrderQueue.waits)
                    AND greatest(o.requested_at, o.ready_since, b.resumed_at)
                        < now() - interval '\(lagMinutes) minutes') AS waits,
                (SELECT count(*) FROM registered_order r JOIN exchange_node n USING (base) WHERE r.base = $1
                    AND coalesce(r.sent_no, 9223372036854775807) > n.confirmed_no
                    -- A base that exchanges every half hour is not late before it has missed its turn.
                    AND r.registered_at < now() - greatest(interval '\(lagMinutes) minutes', 3 * (
                        SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY gap) FROM (
                            SELECT at - lag(at) OVER (ORDER BY message_no) AS gap FROM (
                                SELECT at, message_no FROM exchange_confirmation WHERE base = $1
                                ORDER BY message_no DESC LIMIT 10) AS latest) AS gaps))) AS unconfirmed
            FROM (SELECT 1) AS one LEFT JOIN base_state b ON b.base = $1
            CROSS JOIN LATERAL (
                SELECT max(gap) AS gap, count(gap) AS n, min(started_at) AS since FROM (
                    SELECT started_at, started_at - lag(started_at) OVER (ORDER BY started_at) AS gap FROM onec_session
                    WHERE base = $1 AND type = 'sale' AND started_at > now() - interval '\(memoryDays) days') AS gaps) AS g
            """, [.text(base.base), .int(patience)])[0]
        if try row.optionalString("paused_by") != nil { return nil }
        let waits = try row.bool("waits")
        guard isActive else {
            if try waits && row.bool("is_away") { return "1С не обращается за заказами дольше \(lagMinutes) минут" }
            return try row.optionalBool("is_gone") == true
                ? "1С перестала обращаться: так долго она ещё не молчала" : nil
        }
        // Nor were they sent a moment ago, when it was still quiet.
        let isQuiet = base.quietHours.map { $0.holds(clock) || $0.holds(before) } ?? false
        if waits, !isQuiet { return "заказы ждут отправки дольше \(lagMinutes) минут" }
        let unconfirmed = try row.int("unconfirmed")
        if unconfirmed > 0 {
            return "1С не принимает наших сообщений: не подтверждено заказов \(unconfirmed)"
        }
        return try row.optionalBool("is_unread") == true
            ? "состояние заказов не читается дольше \(HumanText.span(Double(patience)))" : nil
    }
}
