import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit

/// Orders that were made in the base itself. It does not tell them: it is looked for them, page by page beside all else that is read, among the
/// documents of the last month every few minutes and once a day among all since the day that the settings name, for a day may be entered late. What becomes
/// of one is asked as of any other order.
extension ODataDriver {
    private static let recentDays = 31
    /// Minutes between two looks at the last month.
    private static let pauseMinutes = 5
    /// Pages of one round: what is asked of orders must not wait long.
    private static let pagesAtOnce = 4
    /// Under which it is kept that the base does not answer such questions.
    private static let question = "born orders"

    func lookForBorn(_ wire: ExchangeWire) async throws {
        guard !base.bornSince.isEmpty, births.takes(from: base.base), isReadable(Self.question) else { return }
        do {
            for _ in 0..<Self.pagesAtOnce {
                guard let look = try await look() else { return }
                try await read(look, wire)
            }
        } catch DriverFailure.refused(let why) {
            known.add(unreadable: Self.question, "заказы, сделанные в 1С, не читаются: \(why)")
        }
    }

    /// The next round looks at once: something has changed that may be such an order.
    func expectBorn(_ keys: [ID]) async throws {
        guard !base.bornSince.isEmpty, !keys.isEmpty, try await births.known(keys, in: pool).count < keys.count
        else { return }
        try await pool.query("UPDATE base_state SET born_looked_at = NULL WHERE base = $1", [.text(base.base)])
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

    private func read(_ look: Look, _ wire: ExchangeWire) async throws {
        let names = mapping.order
        let marks = [names.ourNumber, names.comment].compactMap { $0 }
        let page = try await client.page(
            "odata.born", names.entity, filter: "Date ge datetime'\(look.from)T00:00:00'", from: look.place,
            select: [
                "Ref_Key", "Number", "Date", "DeletionMark", names.counterparty, names.organization, names.currency,
                names.total,
            ] + marks, wire: wire)
        let fresh = try await strangers(page.rows)
        let organizations = fresh.isEmpty ? [:] : try await organizationKeys(wire)
        var (born, troubles): ([BornOrder], [String]) = ([], [])
        for row in fresh {
            guard let inn = row[names.organization]?.stringValue.flatMap({ organizations[$0] }) else { continue }
            do { born.append(try await order(row, inn, wire)) } catch DriverFailure.refused(let why) {
                troubles.append("заказ \(ODataOrderState.number(row) ?? "без номера"), сделанный в 1С: \(why)")
            }
        }
        let next = page.next?.text
        try await bus.transaction { [base, births, born, troubles] transaction in
            // The base's row before any order's, as everywhere.
            try await transaction.query(
                """
                UPDATE base_state SET born_place = $2, born_from = CASE WHEN $2::text IS NULL THEN NULL ELSE $3::date END,
                    born_looked_at = CASE WHEN $2::text IS NULL THEN now() ELSE born_looked_at END,
                    born_looked_whole_at = CASE WHEN $2::text IS NULL AND $4 THEN now() ELSE born_looked_whole_at END
                WHERE base = $1
                """, [.text(base.base), .text(next), .text(look.from), .bool(look.isWhole)])
            for one in born {
                if let card = one.client {
                    try await ClientCards.learn(card, base.base, page.exchange, in: transaction)
                }
                _ = try await births.take(one, base.base, page.exchange, in: transaction)
            }
            for trouble in troubles {
                try await ReportReader.park(
                    base.base, page.exchange, "заказы, сделанные в 1С", number: nil, trouble, in: transaction)
            }
        }
    }

    /// Rows of orders that we neither know nor have asked for: one of ours may have a key there that has not come back to us.
    private func strangers(_ rows: [RawJSON]) async throws -> [RawJSON] {
        let names = mapping.order
        let foreign = rows.filter { row in
            let isOurs =
                names.ourNumber.flatMap { row[$0]?.stringValue }?.hasPrefix(Self.numberMark) == true
                || names.comment.flatMap { row[$0]?.stringValue }?.hasPrefix(Self.titleMark) == true
            return !isOurs && row["DeletionMark"] != .bool(true)
        }
        let keys = foreign.compactMap { $0["Ref_Key"]?.stringValue.flatMap { ID($0) } }
        let known = try await births.known(keys, in: pool)
        return foreign.filter { row in
            row["Ref_Key"]?.stringValue.flatMap { ID($0) }.map { !known.contains($0) } ?? false
        }
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
            client: try await unread(card, wire), cardId: card, organizationINN: inn)
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
            keys[try await organizationKey(inn, wire)] = inn
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
