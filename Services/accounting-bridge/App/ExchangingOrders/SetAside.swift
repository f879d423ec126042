import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit

/// What stands aside and waits for a person: orders that a base does not take, documents of a base that are not understood. A hundred of one
/// cause are one alarm; another cause is another, though the first still stands.
enum SetAside {
    /// Seconds until what was set aside is told.
    private static let pause = 3.0
    /// Seconds in which the same cause is not told again.
    private static let patience = 24 * 3600.0
    /// The newest of a base that are looked at, and characters of a reason by which causes are told apart.
    private static let newest = 50
    private static let patternLimit = 300

    static func watch(_ bus: EventBus, _ bases: [String]) async throws {
        while !Task.isCancelled {
            if bus.missing == nil { try await look(bus, bases) }
            try await Task.sleep(for: .seconds(pause))
        }
    }

    private struct Thing {
        let number: String?
        let reason: String
        let at: Timestamp
    }

    private struct Place: Hashable {
        let base: String
        let alarm: BaseAlarm
    }

    private static func look(_ bus: EventBus, _ bases: [String]) async throws {
        let rows = try await bus.pool.query(
            """
            SELECT * FROM (
                SELECT *, count(*) OVER (PARTITION BY base, alarm) AS all_of_it,
                    row_number() OVER (PARTITION BY base, alarm ORDER BY at DESC) AS place
                FROM (
                    SELECT base, 'refusals' AS alarm, number, left(coalesce(reason, ''), 2000) AS reason, coalesce(refused_at, requested_at) AS at
                    FROM order_out WHERE state = 'refused' AND base = ANY($1::text[])
                    UNION ALL
                    -- Files that cannot be read at all have alarms of their own.
                    SELECT base, 'documents', number, left(reason, 2000), at FROM parked_document
                    WHERE settled_at IS NULL AND kind IN ('document', 'report') AND base = ANY($1::text[])
                ) AS waiting
            ) AS placed WHERE place <= $2 ORDER BY base, alarm, place
            """, [.texts(bases), .int(Self.newest)])
        var things: [Place: (all: Int64, newest: [Thing])] = [:]
        for row in rows {
            guard let alarm = BaseAlarm(rawValue: try row.string("alarm")) else { continue }
            let thing = Thing(
                number: try row.optionalString("number"), reason: try row.string("reason"), at: try row.time("at"))
            let (place, all) = (Place(base: try row.string("base"), alarm: alarm), try row.int("all_of_it"))
            things[place, default: (all, [])].newest.append(thing)
        }
        let standing = try await bus.pool.query(
            "SELECT base, kind, cause, told::text AS told FROM base_alarm WHERE kind IN ('refusals', 'documents')")
        var told: [Place: [String: Timestamp]] = [:]
        var causes: [Place: String] = [:]
        for row in standing {
            guard let alarm = BaseAlarm(rawValue: try row.string("kind")) else { continue }
            let place = Place(base: try row.string("base"), alarm: alarm)
            told[place] = try JSON.decode([String: Timestamp].self, from: try row.string("told").utf8)
            causes[place] = try row.string("cause")
        }
        let over = causes.keys.filter { things[$0] == nil }
        let news = things.filter { place, found in words(place.alarm, found.all, found.newest[0]) != causes[place] }
        guard !over.isEmpty || !news.isEmpty else { return }
        try await bus.transaction { [told] transaction in
            for place in over { try await BaseHealth.end(place.base, [place.alarm], in: transaction) }
            for (place, found) in news {
                try await tell(place, found.all, found.newest, told[place], in: transaction)
            }
        }
    }

    private static func tell(
        _ place: Place, _ all: Int64, _ newest: [Thing], _ before: [String: Timestamp]?,
        in transaction: EventTransaction
    ) async throws {
        let unsaid = newest.filter { thing in
            guard let said = before?[pattern(thing.reason)] else { return true }
            return thing.at > said.adding(seconds: patience)
        }
        guard let first = unsaid.first else {
            transaction.write(
                "UPDATE base_alarm SET cause = $3 WHERE base = $1 AND kind = $2",
                [.text(place.base), .text(place.alarm.rawValue), .text(words(place.alarm, all, newest[0]))])
            return
        }
        if before != nil { try await BaseHealth.end(place.base, [place.alarm], in: transaction) }
        var said = before ?? [:]
        for thing in unsaid { said[pattern(thing.reason)] = .now() }
        try await BaseHealth.failing(place.base, place.alarm, words(place.alarm, all, first), in: transaction)
        transaction.write(
            "UPDATE base_alarm SET told = $3::jsonb WHERE base = $1 AND kind = $2",
            [.text(place.base), .text(place.alarm.rawValue), .text(try JSON.text(said))])
    }

    private static func words(_ alarm: BaseAlarm, _ all: Int64, _ thing: Thing) -> String {
        let what = thing.number.map { "заказ \($0)" } ?? "файл"
        let count = all > 1 ? " (всего \(all))" : ""
        return alarm == .refusals
            ? "\(what) не принят: \(thing.reason)\(count)" : "\(what): не разобрано: \(thing.reason)\(count)"
    }

    /// A reason without what differs from one order to the next: numbers, and what stands in quotation marks.
    static func pattern(_ reason: String) -> String {
        var pattern = ""
        var closing: Character?
        for character in reason.prefix(patternLimit) {
            if let end = closing {
                if character == end { closing = nil }
            } else if let end = ["«": "»", "\"": "\"", "“": "”"][character] as Character? {
                closing = end
                pattern.append("…")
            } else if character.isNumber {
                if pattern.last != "#" { pattern.append("#") }
            } else {
                pattern.append(character)
            }
        }
        return pattern
    }
}
