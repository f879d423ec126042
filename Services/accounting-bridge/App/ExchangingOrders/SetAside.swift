import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit

/// What stands aside and waits for a person: orders that a base does not take, documents of a base that are not understood. A hundred of one
/// cause are one alarm; another cause is another, though the first still stands.
enum SetAside {
    /// Seconds until what was set aside is told.
    private static let pause = 5.0
    /// Seconds in which the same cause is not told again.
    private static let patience = 24 * 3600.0
    /// Causes that are told at a time; the rest is told the next time.
    private static let atOnce = 5

    static func watch(_ bus: EventBus, _ bases: [String]) async throws {
        while !Task.isCancelled {
            if bus.missing == nil { try await look(bus, bases) }
            try await Task.sleep(for: .seconds(pause))
        }
    }

    private struct Place: Hashable {
        let base: String
        let alarm: BaseAlarm
    }

    /// The newest of one cause.
    private struct Thing {
        /// The reason without what differs from one order to the next.
        let pattern: String
        let number: String?
        let reason: String
        let at: Timestamp
    }

    /// What stands in one place: of each cause the newest, the newest cause first.
    private struct Waiting {
        var count: Int64 = 0
        var things: [Thing] = []
    }

    /// An alarm that stands, and when each cause of it was told.
    private struct Standing {
        let cause: String
        let told: [String: Timestamp]

        func lacks(_ thing: Thing) -> Bool {
            told[thing.pattern].map { thing.at > $0.adding(seconds: patience) } ?? true
        }
    }

    private static func look(_ bus: EventBus, _ bases: [String]) async throws {
        let (waiting, standing) = (try await waiting(bus.pool, bases), try await standing(bus.pool))
        let over = standing.keys.filter { waiting[$0] == nil }
        let news = waiting.filter { place, found in
            guard let standing = standing[place] else { return true }
            return words(place.alarm, found.count, found.things[0]) != standing.cause
                || found.things.contains(where: standing.lacks)
        }
        guard !over.isEmpty || !news.isEmpty else { return }
        try await bus.transaction { transaction in
            for place in over { try await BaseHealth.end(place.base, [place.alarm], in: transaction) }
            for (place, found) in news { try await tell(place, found, standing[place], in: transaction) }
        }
    }

    private static func waiting(_ pool: PostgresPool, _ bases: [String]) async throws -> [Place: Waiting] {
        let rows = try await pool.query(
            """
            SELECT * FROM (
                SELECT DISTINCT ON (base, alarm, pattern) *, count(*) OVER (PARTITION BY base, alarm) AS all_of_it FROM (
                    -- Quoted names, numbers and keys differ from one order to the next.
                    SELECT *, regexp_replace(regexp_replace(left(reason, 300), '[«"“][^»"”]*[»"”]?', '…', 'g'),
                        '[0-9a-f-]*[0-9][0-9a-f-]*', '#', 'gi') AS pattern
                    FROM (
                        SELECT base, 'refusals' AS alarm, number, left(coalesce(reason, ''), 2000) AS reason,
                            coalesce(refused_at, requested_at) AS at
                        FROM order_out WHERE state = 'refused' AND base = ANY($1::text[])
                        UNION ALL
                        -- Files that cannot be read at all have alarms of their own.
                        SELECT base, 'documents', number, left(reason, 2000), at FROM parked_document
                        WHERE settled_at IS NULL AND kind IN ('document', 'report') AND base = ANY($1::text[])
                    ) AS waiting
                ) AS alike ORDER BY base, alarm, pattern, at DESC
            ) AS newest ORDER BY at DESC
            """, [.texts(bases)])
        var waiting: [Place: Waiting] = [:]
        for row in rows {
            guard let alarm = BaseAlarm(rawValue: try row.string("alarm")) else { continue }
            let place = Place(base: try row.string("base"), alarm: alarm)
            waiting[place, default: Waiting()].count = try row.int("all_of_it")
            waiting[place]?.things.append(
                Thing(
                    pattern: try row.string("pattern"), number: try row.optionalString("number"),
                    reason: try row.string("reason"), at: try row.time("at")))
        }
        return waiting
    }

    private static func standing(_ pool: PostgresPool) async throws -> [Place: Standing] {
        let rows = try await pool.query(
            "SELECT base, kind, cause, told::text AS told FROM base_alarm WHERE kind IN ('refusals', 'documents')")
        var standing: [Place: Standing] = [:]
        for row in rows {
            guard let alarm = BaseAlarm(rawValue: try row.string("kind")) else { continue }
            standing[Place(base: try row.string("base"), alarm: alarm)] = Standing(
                cause: try row.string("cause"),
                told: try JSON.decode([String: Timestamp].self, from: try row.string("told").utf8))
        }
        return standing
    }

    private static func tell(
        _ place: Place, _ found: Waiting, _ before: Standing?, in transaction: EventTransaction
    ) async throws {
        let unsaid = found.things.filter { before?.lacks($0) ?? true }.prefix(atOnce)
        // Each cause takes the place of the one before it, the newest at last.
        for (index, thing) in unsaid.reversed().enumerated() {
            if before != nil || index > 0 { try await BaseHealth.end(place.base, [place.alarm], in: transaction) }
            try await BaseHealth.failing(
                place.base, place.alarm, words(place.alarm, found.count, thing), in: transaction)
        }
        let now = Timestamp.now()
        var told = (before?.told ?? [:]).filter { $0.value.adding(seconds: patience) > now }
        for thing in unsaid { told[thing.pattern] = now }
        transaction.write(
            "UPDATE base_alarm SET cause = $3, told = $4::jsonb WHERE base = $1 AND kind = $2",
            [
                .text(place.base), .text(place.alarm.rawValue),
                .text(words(place.alarm, found.count, found.things[0])), .text(try JSON.text(told)),
            ])
    }

    private static func words(_ alarm: BaseAlarm, _ count: Int64, _ thing: Thing) -> String {
        let what = thing.number.map { "заказ \($0)" } ?? "файл"
        let reason = thing.reason.prefix(500)
        let all = count > 1 ? " (всего \(count))" : ""
        return alarm == .refusals
            ? "\(what) не принят: \(reason)\(all)" : "\(what): не разобрано: \(reason)\(all)"
    }
}
