import Contracts
import Postgres
import Primitives
import ServiceKit

/// Orders that were made in the base itself. One that the base registers for us as changed is taken at once. Where it registers nothing it is looked for
/// them, page by page beside all else that is read: among the documents of the last days every few minutes, and once a day among all since the day that the
/// settings name, for a document may be entered late. What becomes of one is asked as of any other order.
extension ODataDriver {
    private static let recentDays = 3
    /// Minutes between two looks at the last days.
    private static let pauseMinutes = 5
    /// Pages of one round: what is asked of orders must not wait long.
    private static let pagesAtOnce = 4
    /// Keys in one question: web servers stop at 2,048 bytes of an address.
    private static let keysInQuestion = 20
    /// Under which it is kept that the base does not answer such questions.
    private static let question = "born orders"
    private static let subject = "заказы, сделанные в 1С"

    private var looksForBorn: Bool { !base.bornSince.isEmpty && births.takes(from: base.base) }

    func lookForBorn(_ wire: ExchangeWire) async throws {
        guard looksForBorn, isReadable(Self.question) else { return }
        do {
            for _ in 0..<Self.pagesAtOnce {
                guard let look = try await look() else { return }
                try await read(look, wire)
            }
        } catch DriverFailure.refused(let why) {
            known.add(unreadable: Self.question, "заказы, сделанные в 1С, не читаются: \(why)")
        }
    }

    /// Takes those among objects of which the base says that they have changed.
    func takeBorn(among objects: [RawJSON], _ exchange: ID, _ wire: ExchangeWire) async throws {
        guard looksForBorn, isReadable(Self.question) else { return }
        let orders = objects.filter {
            $0["odata.type"]?.stringValue == "StandardODATA.\(mapping.order.entity)"
                && ($0["Date"]?.stringValue ?? "") >= base.bornSince
        }
        do {
            // A node's first answer may hold thousands: what is taken stays taken.
            for some in try await strangers(orders, wire).parts(of: Self.keysInQuestion) {
                try await take(some, exchange, wire)
            }
        } catch DriverFailure.refused(let why) {
            known.add(unreadable: Self.question, "заказы, сделанные в 1С, не читаются: \(why)")
        }
    }

    private struct Look {
        let from: String
        let place: ODataPlace
        let isWhole: Bool
    }

    /// Where the looking goes on, or begins; nil when it is not yet time.
    private func look() async throws -> Look? {
        let row = try await pool.query(
            """
            INSERT INTO base_state AS b (base) VALUES ($1) ON CONFLICT (base) DO UPDATE SET base = b.base
            RETURNING born_place, born_from::text AS born_from,
                coalesce(born_looked_at < now() - interval '\(Self.pauseMinutes) minutes', true) AS is_due,
                coalesce(born_looked_whole_at < now() - interval '1 day', true) AS is_whole_due,
                greatest($2::date, (now() - interval '\(Self.recentDays) days')::date)::text AS recent
            """, [.text(base.base), .text(base.bornSince)])[0]
        if let place = try row.optionalString("born_place").flatMap({ ODataPlace($0) }),
            let from = try row.optionalString("born_from")
        {
            return Look(from: from, place: place, isWhole: from == base.bornSince)
        }
        let isWholeDue = try row.bool("is_whole_due")
        guard try isWholeDue || row.bool("is_due") else { return nil }
        let from = isWholeDue ? base.bornSince : try row.string("recent")
        return Look(from: from, place: .start, isWhole: isWholeDue)
    }

    /// Only what tells strangers apart is asked of all: the journal keeps each answer.
    private func read(_ look: Look, _ wire: ExchangeWire) async throws {
        let marks = [mapping.order.ourNumber, mapping.order.comment].compactMap { $0 }
        let page = try await client.page(
            "odata.born", mapping.order.entity, filter: "Date ge datetime'\(look.from)T00:00:00'", from: look.place,
            select: ["Ref_Key", "DeletionMark", mapping.order.organization] + marks, wire: wire)
        var keys = try await strangers(page.rows, wire).compactMap { $0["Ref_Key"]?.stringValue }[...]
        while !keys.isEmpty {
            let some = keys.prefix(Self.keysInQuestion)
            keys = keys.dropFirst(Self.keysInQuestion)
            let answer = try await client.rows(
                "odata.born", mapping.order.entity,
                filter: some.map { "Ref_Key eq guid'\($0)'" }.joined(separator: " or "),
                select: [
                    "Ref_Key", "Number", "Date", "DeletionMark", mapping.order.counterparty, mapping.order.organization,
                    mapping.order.currency, mapping.order.total,
                ], wire: wire)
            try await take(answer.rows, answer.exchange ?? page.exchange, wire)
        }
        try await pool.query(
            """
            UPDATE base_state SET born_place = $2, born_from = CASE WHEN $2::text IS NULL THEN NULL ELSE $3::date END,
                born_looked_at = CASE WHEN $2::text IS NULL THEN now() ELSE born_looked_at END,
                born_looked_whole_at = CASE WHEN $2::text IS NULL AND $4 THEN now() ELSE born_looked_whole_at END
            WHERE base = $1
            """, [.text(base.base), .text(page.next?.text), .text(look.from), .bool(look.isWhole)])
    }

    private func take(_ rows: [RawJSON], _ exchange: ID, _ wire: ExchangeWire) async throws {
        guard !rows.isEmpty else { return }
        let organizations = try await organizationKeys(wire)
        var (born, troubles): ([BornOrder], [OrderBirths.Trouble]) = ([], [])
        for row in rows {
            guard let inn = row[mapping.order.organization]?.stringValue.flatMap({ organizations[$0] }) else {
                continue
            }
            do { born.append(try await order(row, inn, wire)) } catch DriverFailure.refused(let why) {
                troubles.append(.init(number: ODataOrderState.number(row), words: why))
            }
        }
        _ = try await births.take(born, troubles: troubles, base.base, exchange, named: Self.subject, bus)
    }

    /// Rows of orders of our organizations that we neither know nor have asked for.
    private func strangers(_ rows: [RawJSON], _ wire: ExchangeWire) async throws -> [RawJSON] {
        let living = rows.filter { $0["DeletionMark"] != .bool(true) }
        let keys = living.compactMap { $0["Ref_Key"]?.stringValue.flatMap { ID($0) } }
        let known = try await births.known(keys, in: pool)
        var foreign = living.filter { row in
            row["Ref_Key"]?.stringValue.flatMap { ID($0) }.map { !known.contains($0) } ?? false
        }
        // One of ours may have a key there that has not come back to us; a copy that somebody has made of one of ours has its marks, too.
        let organizations = foreign.isEmpty ? [:] : try await organizationKeys(wire)
        foreign = foreign.filter { row in
            row[mapping.order.organization]?.stringValue.flatMap { organizations[$0] } != nil
        }
        let numbers = foreign.compactMap(markedNumber)
        let waiting = try await pool.query(
            """
            SELECT number FROM order_out WHERE base = $1 AND number = ANY($2::text[])
                AND (onec_id IS NULL OR state IN ('sending', 'doubtful'))
            """, [.text(base.base), .texts(numbers)]
        ).map { try $0.string("number") }
        return foreign.filter { row in markedNumber(row).map { !waiting.contains($0) } ?? true }
    }

    /// Our number that stands on it.
    private func markedNumber(_ row: RawJSON) -> String? {
        let fields = [(mapping.order.ourNumber, Self.numberMark), (mapping.order.comment, Self.titleMark)]
        for (field, mark) in fields {
            guard let text = field.flatMap({ row[$0]?.stringValue }), text.hasPrefix(mark) else { continue }
            let number = text.dropFirst(mark.count).prefix { $0.isASCII && $0.isNumber }
            if !number.isEmpty { return String(number) }
        }
        return nil
    }

    private func order(_ row: RawJSON, _ inn: String, _ wire: ExchangeWire) async throws -> BornOrder {
        let names = mapping.order
        let currency = try await currency(row[names.currency]?.stringValue ?? "", wire)
        guard let total = ODataOrderState.money(row[names.total], currency), total.minor >= 0 else {
            throw DriverFailure.refused("сумма заказа (\(names.total)) не читается")
        }
        let card = row[names.counterparty]?.stringValue
        return BornOrder(
            key: row["Ref_Key"]?.stringValue ?? "", number: ODataOrderState.number(row),
            day: OrderReport.day(row["Date"]?.stringValue), total: total,
            client: try await unread(card, wire), cardId: card, organization: inn)
    }

    /// The card, when it was not read with all cards yet.
    private func unread(_ key: String?, _ wire: ExchangeWire) async throws -> ClientCard? {
        guard let key else { return nil }
        let isKnown = try await !pool.query(
            "SELECT 1 AS one FROM counterparty_card WHERE base = $1 AND onec_id = $2", [.text(base.base), .text(key)]
        ).isEmpty
        return isKnown ? nil : try await card(key, wire)
    }

    /// The base's keys of our organizations, with their INN.
    private func organizationKeys(_ wire: ExchangeWire) async throws -> [String: String] {
        var keys: [String: String] = [:]
        for inn in Set(organizations.filter { $0.base == base.base }.compactMap(\.inn)) {
            // One that the base does not have, or has twice, has no orders that could be told apart.
            do { keys[try await organizationKey(inn, wire)] = inn } catch DriverFailure.refused { continue }
        }
        return keys
    }

    /// The currency that has this key there.
    private func currency(_ key: String, _ wire: ExchangeWire) async throws -> Currency {
        let question = "currency \(key)"
        if let code = known.key(question), let currency = Currency(code) { return currency }
        guard ID(key) != nil,
            let card = try await client.one(
                "odata.find", mapping.currency.entity, key, select: ["Ref_Key", "Code"], wire: wire),
            let code = card["Code"]?.stringValue?.trimmed, let currency = Currency(onec: code)
        else { throw DriverFailure.refused("валюта заказа не находится по ключу \(key)") }
        known.keep(question, currency.code)
        return currency
    }
}
