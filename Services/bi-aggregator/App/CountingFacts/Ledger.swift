import Contracts
import Messaging
import Postgres
import Primitives

/// A figure as it is published and stored.
struct Cell: Encodable, Sendable {
    let metric, grain, period: String
    let by: [String]
    let dimensions: [String: String]
    /// A decimal text for money, a number otherwise.
    let value: RawJSON
    let unit: String
    let asOf: Timestamp
    let revision: Int64

    var topic: String { "metric/\(metric)/\(grain)" }
    /// What makes it the same figure in another revision.
    var identity: String {
        let slice = dimensions.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        return ([topic, period] + by + slice).joined(separator: "\u{1f}")
    }

    static let columns = """
        metric, grain, period, by_dimensions, dimensions, unit, sum::text AS sum, count, revision, as_of
        """

    init(_ row: Row) throws {
        metric = try row.string("metric")
        grain = try row.string("grain")
        period = try row.string("period")
        let names = try row.string("by_dimensions")
        by = names.isEmpty ? [] : names.split(separator: ",").map(String.init)
        dimensions = try JSON.decode([String: String].self, from: try row.string("dimensions").utf8)
        unit = try row.string("unit")
        asOf = try row.time("as_of")
        revision = try row.int("revision")
        let sum = try row.string("sum")
        let count = try row.int("count")
        switch Metric.named(metric)?.kind {
        case .statistic: value = .double(count == 0 ? 0 : (Double(sum) ?? 0) / Double(count))
        case _ where dimensions["currency"] != nil:
            let currency = Currency(dimensions["currency"] ?? "") ?? .rub
            value = .string(Money(sum, currency)?.amount ?? sum)
        default: value = .int(Int64(Double(sum) ?? 0))
        }
    }
}

/// Keeps facts and the figures made of them in step: a fact that comes again with other values takes its old share
/// out and puts the new one in.
enum Ledger {
    /// Records the facts; the cells that changed.
    static func record(_ facts: [Fact], in transaction: EventTransaction) async throws -> [Cell] {
        var changed: [Cell] = []
        for fact in facts { changed += try await record(fact, in: transaction) }
        return changed
    }

    private static func record(_ fact: Fact, in transaction: EventTransaction) async throws -> [Cell] {
        let old = try await transaction.query(
            """
            SELECT at, day::text AS day, hour, amount::text AS amount, unit, counted, channel, campaign, manager,
                organization, step, currency FROM fact WHERE metric = $1 AND key = $2 FOR UPDATE
            """, [.text(fact.metric), .text(fact.key)]
        ).first
        // Slices are frozen at the fact: a later word changes the sum, not whose it is.
        var fact = fact
        var shares: [Share] = []
        if let old {
            fact.channel = try old.string("channel")
            fact.campaign = try old.string("campaign")
            fact.manager = try old.string("manager")
            fact.organization = try old.string("organization")
            fact.step = try old.string("step")
            // A step is reached once: what takes the line there again later says nothing new.
            if fact.metric == "funnel.reached", fact.counted, try old.bool("counted"), try old.time("at") <= fact.at {
                return []
            }
            if try old.bool("counted") {
                var before = fact
                before.currency = try old.optionalString("currency")
                before.unit = try old.string("unit")
                shares += Share.all(
                    before, day: try old.string("day"), hour: try old.optionalString("hour"),
                    amount: "-" + (try old.string("amount")), count: -1)
            }
        }
        if fact.counted {
            shares += Share.all(fact, day: fact.localDay, hour: fact.hour, amount: fact.amount, count: 1)
        }
        try await transaction.query(
            """
            INSERT INTO fact (metric, key, at, day, hour, amount, unit, counted, channel, campaign, manager,
                organization, step, currency, journey_id, kind, ref, number)
            VALUES ($1, $2, $3, $4::date, $5, $6::numeric, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
            ON CONFLICT (metric, key) DO UPDATE SET day = excluded.day, hour = excluded.hour,
                at = CASE WHEN excluded.metric = 'funnel.reached' THEN excluded.at ELSE fact.at END,
                amount = excluded.amount, unit = excluded.unit, counted = excluded.counted,
                currency = excluded.currency, number = excluded.number
            """,
            [
                .text(fact.metric), .text(fact.key), .time(fact.at), .text(fact.localDay),
                .text(fact.hour), .text(fact.amount), .text(fact.unit), .bool(fact.counted),
                .text(fact.dimension("channel")), .text(fact.dimension("campaign")),
                .text(fact.dimension("manager")), .text(fact.dimension("organization")),
                .text(fact.dimension("step")), .text(fact.currency), .id(fact.journey),
                .text(fact.kind), .text(fact.ref), .text(fact.number),
            ])
        return try await add(shares, fact, in: transaction)
    }

    /// What has been counted of an order.
    struct Counted: Sendable {
        let fact: Fact
        /// The line that it stood in before.
        let journey: ID?
    }

    /// A person has said whose an order's money is: all that was counted of it is put there, out of the old slices and into the new ones.
    static func move(
        _ order: OrderLinked, in transaction: EventTransaction
    ) async throws -> (cells: [Cell], moved: [Counted]) {
        let rows = try await transaction.query(
            """
            SELECT metric, key, at, day::text AS day, hour, amount::text AS amount, unit, counted, channel, campaign, manager, organization, step,
                currency, journey_id, kind, ref, number FROM fact
            WHERE metric IN ('money.received', 'money.refunded') AND (substring(key FROM '[^/]+$') COLLATE "C") = $1
                OR metric IN ('receivables.owed', 'receivables.overdue') AND key = $2
            ORDER BY metric, key FOR UPDATE
            """, [.text(order.number), .text(order.orderId.description)])
        var (cells, moved): ([Cell], [Counted]) = ([], [])
        for row in rows {
            let (day, hour) = (try row.string("day"), try row.optionalString("hour"))
            let amount = try row.string("amount")
            var before = Fact(
                try row.string("metric"), key: try row.string("key"), at: try row.time("at"), day: day, amount: amount,
                unit: try row.string("unit"),
                slice: Slice(
                    channel: try row.string("channel"), campaign: try row.string("campaign"),
                    manager: try row.string("manager"), organization: try row.string("organization")),
                journey: order.journeyId, kind: try row.string("kind"), ref: try row.string("ref"),
                number: try row.optionalString("number"))
            before.step = try row.string("step")
            before.currency = try row.optionalString("currency")
            var fact = before
            (fact.channel, fact.campaign) = (order.slice.channel, order.slice.campaign)
            (fact.manager, fact.organization) = (order.slice.manager, order.slice.organization)
            try await transaction.query(
                """
                UPDATE fact SET channel = $3, campaign = $4, manager = $5, organization = $6, journey_id = $7
                WHERE metric = $1 AND key = $2
                """,
                [
                    .text(fact.metric), .text(fact.key), .text(fact.dimension("channel")),
                    .text(fact.dimension("campaign")), .text(fact.dimension("manager")),
                    .text(fact.dimension("organization")), .id(order.journeyId),
                ])
            // What does not count yet, or no more, counts there when it does.
            guard try row.bool("counted") else { continue }
            let shares =
                Share.all(before, day: day, hour: hour, amount: "-" + amount, count: -1)
                + Share.all(fact, day: day, hour: hour, amount: amount, count: 1)
            cells += try await add(shares, fact, in: transaction)
            moved.append(Counted(fact: fact, journey: try row.optionalID("journey_id")))
        }
        return (cells, moved)
    }

    private static func add(_ shares: [Share], _ fact: Fact, in transaction: EventTransaction) async throws -> [Cell] {
        guard !shares.isEmpty else { return [] }
        // Old and new share of one cell become one change; one that changes nothing is no change.
        return try await transaction.query(
            """
            INSERT INTO cell AS c
                (metric, grain, period, by_dimensions, dimensions, unit, sum, count, revision, as_of)
            SELECT $1, grain, period, names, dimensions, unit, sum(amount::numeric), sum(n), 1, clock_timestamp()
            FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[])
                AS s (grain, period, names, dimensions, unit, amount, n)
            GROUP BY grain, period, names, dimensions, unit
            HAVING sum(amount::numeric) <> 0 OR sum(n) <> 0
            ORDER BY grain, period, names, dimensions
            ON CONFLICT (metric, grain, period, by_dimensions, dimensions) DO UPDATE SET
                sum = c.sum + excluded.sum, count = c.count + excluded.count, revision = c.revision + 1,
                as_of = excluded.as_of
            RETURNING \(Cell.columns)
            """,
            [
                .text(fact.metric), .texts(shares.map(\.grain)), .texts(shares.map(\.period)),
                .texts(shares.map(\.names)), .texts(shares.map(\.dimensions)),
                .texts(shares.map(\.unit)), .texts(shares.map(\.amount)), .ints(shares.map(\.count)),
            ]
        ).map { try Cell($0) }
    }

    /// A fact's part of one cell.
    private struct Share {
        let grain, period, names, dimensions, unit, amount: String
        let count: Int64

        static func all(_ fact: Fact, day: String, hour: String?, amount: String, count: Int64) -> [Share] {
            let kind = Metric.named(fact.metric)?.kind
            var grains = [("total", "all")]
            if kind != .balance {
                grains += [("day", day), ("month", String(day.prefix(7)))]
                if let hour { grains.append(("hour", hour)) }
            }
            let slices = [nil] + (Metric.named(fact.metric)?.dimensions ?? []).map { Optional($0) }
            let plain = amount.hasPrefix("--") ? String(amount.dropFirst(2)) : amount
            return grains.flatMap { grain, period in
                slices.map { slice in
                    var dimensions: [String: String] = [:]
                    if let currency = fact.currency { dimensions["currency"] = currency }
                    if let slice { dimensions[slice] = fact.dimension(slice) }
                    return Share(
                        grain: grain, period: period, names: slice ?? "",
                        dimensions: (try? JSON.text(dimensions)) ?? "{}", unit: fact.unit,
                        amount: plain, count: count)
                }
            }
        }
    }
}
