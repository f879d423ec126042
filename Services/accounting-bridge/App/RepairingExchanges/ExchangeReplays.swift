import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit
import XMLStream

/// Which of what was set aside between the bridge and 1C is done again. Every field that is set narrows.
struct ExchangeFilter: Codable, Sendable {
    let source, base: String?
    let kind: String?
    /// A part of the client's name, his INN, or our id of him.
    let counterparty: String?
    let order: String?
    /// A part of the reason.
    let error: String?
    let from, to: Timestamp?
    let ids: [ID]?

    /// Whether it speaks of exchanges and not of messages of the bus.
    var isMeant: Bool { source == "exchanges" || base != nil || kind != nil || counterparty != nil || order != nil }
    var isEmpty: Bool {
        base == nil && kind == nil && counterparty == nil && order == nil && error == nil && from == nil && to == nil
            && ids == nil
    }
}

/// Orders that were refused, or lost by their base, and documents that were not understood, done again as a frozen list: previewed in transactions that are rolled
/// back, then exactly it, each in a transaction of its own.
struct ExchangeReplays: OwnReplays {
    let pool: PostgresPool
    let repair: Repair

    /// Items of one replay at most, and those that a preview tries.
    static let itemLimit = 1000
    private static let previewLimit = 200

    func plan(_ filter: RawJSON, by: String) async throws -> ID? {
        let wanted = try JSON.decode(ExchangeFilter.self, from: JSON.encode(filter))
        guard wanted.isMeant else { return nil }
        guard !wanted.isEmpty else { throw ReplayRefused("a filter must choose something: it is empty") }
        let kinds = Repair.Kind.allCases.filter { $0 != .base }.map(\.rawValue)
        if let kind = wanted.kind, !kinds.contains(kind) {
            throw ReplayRefused("kind is \(kinds.joined(separator: ", "))")
        }
        let id = ID.make()
        let words = filter.text
        let count = try await pool.transaction { transaction in
            try await transaction.query(
                "INSERT INTO exchange_replay (id, planned_by, filter, state) VALUES ($1, $2, $3::jsonb, 'planned')",
                [.id(id), .text(by), .text(words)])
            return try await transaction.run([Self.freeze(wanted, id)])[0].affected
        }
        guard count <= Self.itemLimit else {
            try await cancel(id, by: by)
            throw ReplayRefused("more than \(Self.itemLimit) items are chosen: narrow the filter")
        }
        if count > 0 { try await preview(id, by: by) }
        return id
    }

    private static func freeze(_ filter: ExchangeFilter, _ id: ID) -> Statement {
        Statement(
            """
            INSERT INTO exchange_replay_item (replay_id, place, kind, ref, base, number, journey_id, at)
            SELECT $1, row_number() OVER (ORDER BY at, ref), kind, ref, base, number, journey_id, at FROM (
                SELECT 'order' AS kind, id AS ref, base, number, journey_id, requested_at AS at, reason, client, inn,
                    counterparty_id
                FROM order_out WHERE state = 'refused'
                UNION ALL
                SELECT p.kind, p.id, p.base, p.number, o.journey_id, p.at, p.reason, o.client, o.inn, o.counterparty_id
                FROM parked_document p LEFT JOIN order_out o ON o.number = p.number WHERE p.settled_at IS NULL
                UNION ALL
                -- What stands in a base is done again only when that is what was asked for.
                SELECT 'sent', id, base, number, journey_id, sent_at, NULL, client, inn, counterparty_id
                FROM order_out WHERE state = 'sent' AND origin = 'crm' AND NOT told_cancelled AND $3 = 'sent'
            ) AS waiting
            WHERE ($2::text IS NULL OR base = $2) AND ($3::text IS NULL OR kind = $3)
                AND ($4::text IS NULL OR position(lower($4) IN lower(client)) > 0 OR inn = $4 OR counterparty_id = $4)
                AND ($5::text IS NULL OR number = $5) AND ($6::text IS NULL OR position(lower($6) IN lower(reason)) > 0)
                AND ($7::timestamptz IS NULL OR at >= $7) AND ($8::timestamptz IS NULL OR at < $8)
                AND ($9::uuid[] IS NULL OR ref = ANY($9::uuid[]))
            LIMIT \(itemLimit + 1)
            """,
            [
                .id(id), .text(filter.base), .text(filter.kind), .text(filter.counterparty), .text(filter.order),
                .text(filter.error), .time(filter.from), .time(filter.to),
                filter.ids.map { .ids($0) } ?? .text(nil),
            ])
    }

    // MARK: looking

    /// Ends a transaction that was only to be looked at.
    private struct Seen: Error { let words: String }

    private func preview(_ id: ID, by: String) async throws {
        var seen = ReplayPreview()
        var file: Repair.ReadFile?
        for item in try await work(id).prefix(Self.previewLimit) {
            seen.tried += 1
            file = try await repair.prepare(item.kind, item.ref, after: file)
            do {
                try await repair.bus.transaction { [file] transaction in
                    throw Seen(words: try await repair.attempt(item.kind, item.ref, file, by: by, in: transaction))
                }
            } catch let done as Seen {
                seen.wouldSucceed += 1
                if done.words.hasSuffix("без изменений") { seen.changeNothing += 1 }
                seen.says[done.words, default: 0] += 1
            } catch let refusal as Repair.Refused {
                seen.wouldFail[refusal.reason, default: 0] += 1
            } catch let refusal as XMLRefusal {
                seen.wouldFail[refusal.reason, default: 0] += 1
            } catch let error where (error as? PostgresError)?.isTransient != true && !(error is CancellationError) {
                seen.wouldFail["\(error)", default: 0] += 1
            }
        }
        try await pool.query(
            "UPDATE exchange_replay SET preview = $2::jsonb WHERE id = $1", [.id(id), .text(try JSON.text(seen))])
    }

    private struct Work: Sendable {
        let place: Int64
        let kind: Repair.Kind
        let ref: ID
    }

    private func work(_ id: ID) async throws -> [Work] {
        try await pool.query(
            "SELECT place, kind, ref FROM exchange_replay_item WHERE replay_id = $1 AND outcome = 'waiting' ORDER BY place",
            [.id(id)]
        ).compactMap { row in
            guard let kind = Repair.Kind(rawValue: try row.string("kind")) else { return nil }
            return Work(place: try row.int("place"), kind: kind, ref: try row.id("ref"))
        }
    }

    func list(limit: Int) async throws -> [Replay] {
        try await load("true ORDER BY id DESC LIMIT \(limit)", [])
    }

    func find(_ id: ID) async throws -> Replay? { try await load("id = $1", [.id(id)]).first }

    private func load(_ condition: String, _ parameters: [Parameter]) async throws -> [Replay] {
        try await pool.query(
            """
            SELECT id, state, planned_at, planned_by, applied_by, applied_at, filter::text AS filter,
                preview::text AS preview,
                (SELECT coalesce(jsonb_object_agg(outcome, n), '{}') FROM (
                    SELECT outcome, count(*) AS n FROM exchange_replay_item WHERE replay_id = r.id GROUP BY outcome
                ) AS c)::text AS counts
            FROM exchange_replay r WHERE \(condition)
            """, parameters
        ).map { row in
            Replay(
                id: try row.id("id"), state: try row.string("state"), plannedAt: try row.time("planned_at"),
                plannedBy: try row.string("planned_by"), appliedBy: try row.optionalString("applied_by"),
                appliedAt: try row.optionalTime("applied_at"), filter: try row.string("filter"),
                counts: try JSON.decode([String: Int].self, from: try row.string("counts").utf8),
                preview: try row.optionalString("preview").map {
                    try JSON.decode(ReplayPreview.self, from: $0.utf8)
                })
        }
    }

    func items(_ id: ID, after: Int, limit: Int) async throws -> [OwnReplayItem] {
        try await pool.query(
            """
            SELECT place, kind, ref, base, number, journey_id, at, outcome, reason FROM exchange_replay_item
            WHERE replay_id = $1 AND place > $2 ORDER BY place LIMIT $3
            """, [.id(id), .int(after), .int(limit)]
        ).map { row in
            OwnReplayItem(
                place: Int(try row.int("place")), publisher: "1c/\(try row.string("base"))",
                sequence: try row.string("kind"), id: try row.id("ref"), type: try row.string("kind"),
                key: try row.optionalString("number") ?? "", journeyId: try row.optionalID("journey_id"),
                at: try row.time("at"), outcome: try row.string("outcome"), reason: try row.optionalString("reason"))
        }
    }

    // MARK: doing it

    /// One that was cut off by a death is `applying`, and goes on when it is applied again.
    func apply(_ id: ID, by: String) async throws {
        try await move(id, from: ["planned", "applying"], to: "applying", by: by, "cannot be applied")
        var file: Repair.ReadFile?
        for item in try await work(id) {
            file = try await repair.prepare(item.kind, item.ref, after: file)
            do {
                try await repair.bus.transaction { [file] transaction in
                    // Another may apply or cancel it at the same time: each item is done once, and none after a cancel.
                    let open = try await transaction.query(
                        """
                        SELECT 1 AS one FROM exchange_replay r JOIN exchange_replay_item i ON i.replay_id = r.id
                        WHERE r.id = $1 AND r.state = 'applying' AND i.place = $2 AND i.outcome = 'waiting' FOR UPDATE
                        """, [.id(id), .int(item.place)])
                    guard !open.isEmpty else { return }
                    let words = try await repair.attempt(item.kind, item.ref, file, by: by, in: transaction)
                    try await transaction.query(
                        "UPDATE exchange_replay_item SET outcome = 'done', reason = $3 WHERE replay_id = $1 AND place = $2",
                        [.id(id), .int(item.place), .text(words)])
                }
            } catch let refusal as Repair.Refused {
                try await fail(id, item, refusal.reason)
            } catch let refusal as XMLRefusal {
                try await fail(id, item, refusal.reason)
            } catch let error where (error as? PostgresError)?.isTransient != true && !(error is CancellationError) {
                try await fail(id, item, "\(error)")
            }
        }
        try await move(id, from: ["applying"], to: "applied", by: by, "cannot be ended")
    }

    private func fail(_ id: ID, _ item: Work, _ reason: String) async throws {
        try await pool.query(
            "UPDATE exchange_replay_item SET outcome = 'failed', reason = $3 WHERE replay_id = $1 AND place = $2 AND outcome = 'waiting'",
            [.id(id), .int(item.place), .text(reason)])
    }

    func cancel(_ id: ID, by: String) async throws {
        try await move(id, from: ["planned", "applying"], to: "cancelled", by: by, "cannot be cancelled")
        try await pool.query(
            "UPDATE exchange_replay_item SET outcome = 'cancelled' WHERE replay_id = $1 AND outcome = 'waiting'",
            [.id(id)])
    }

    private func move(_ id: ID, from: [String], to: String, by: String, _ words: String) async throws {
        let moved = try await pool.query(
            """
            UPDATE exchange_replay SET state = $2, applied_by = $4, applied_at = now()
            WHERE id = $1 AND state = ANY($3::text[])
            """, [.id(id), .text(to), .texts(from), .text(by)]
        ).affected
        guard moved == 1 else {
            guard let replay = try await find(id) else { throw ReplayRefused("no such replay") }
            throw ReplayRefused("the replay is \(replay.state): it \(words)")
        }
    }
}
