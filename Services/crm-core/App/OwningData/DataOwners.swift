import Postgres
import Primitives
import ServiceKit

/// Who owns which field of a client: by the rule, or as a person has said.
struct DataOwners: Sendable {
    let runner: any StatementRunner

    func all() async throws -> [ClientTruth.Field: ClientTruth.Owner] {
        try await runner.query("SELECT field, owner FROM data_owner").reduce(into: [:]) { owners, row in
            guard let field = ClientTruth.Field(rawValue: try row.string("field")),
                let owner = ClientTruth.Owner(rawValue: try row.string("owner"))
            else { return }
            owners[field] = owner
        }
    }

    func set(_ field: ClientTruth.Field, _ owner: ClientTruth.Owner, by: String) async throws {
        try await runner.query(
            """
            INSERT INTO data_owner (field, owner, by_whom) VALUES ($1, $2, $3)
            ON CONFLICT (field) DO UPDATE SET owner = excluded.owner, by_whom = excluded.by_whom, at = now()
            """, [.text(field.rawValue), .text(owner.rawValue), .text(by)])
    }

    /// A change by the CRM of what is 1C's. A client who has no card there yet is the CRM's alone: somebody has to make him.
    ///
    /// - Throws: ``NotOwner``.
    func demandOurs(_ client: ID, _ changes: [(field: ClientTruth.Field, value: String)], _ name: String) async throws {
        let owners = try await all()
        for change in changes where owners[change.field] == .onec {
            let card = try await runner.query(
                """
                SELECT c.base FROM external_id x JOIN onec_card c ON x.system = '1c/' || c.base AND c.onec_id = x.external_id
                WHERE x.client_id = $1 AND x.kind = '\(ClientCards.kind)'
                    AND CASE $2 WHEN 'name' THEN c.name WHEN 'inn' THEN c.inn ELSE c.kpp END IS NOT NULL
                    -- Its own word may be taken over by hand.
                    AND $3 <> ALL(ARRAY[CASE $2 WHEN 'name' THEN c.name WHEN 'inn' THEN c.inn ELSE c.kpp END,
                        CASE $2 WHEN 'name' THEN c.full_name END]) IS NOT FALSE LIMIT 1
                """, [.id(client), .text(change.field.rawValue), .text(change.value)]
            ).first
            guard let card else { continue }
            throw NotOwner(
                data: "client.\(change.field.rawValue)", subject: name, value: change.value,
                reason: "\(change.field.rule(.onec)): измените в базе \(try card.string("base")), сюда придёт само")
        }
    }
}

/// A write to data that are another's (rule 1 of the domain): it is refused, and kept to be seen.
struct NotOwner: Error {
    /// What was to be written: `client.inn`, `document`.
    let data: String
    /// Of whom or of what.
    let subject: String
    let value: String?
    let reason: String
}

/// The journal of writes that were refused because the data are another's.
struct RefusedWrites: Sendable {
    let pool: PostgresPool

    struct Entry: AnswerShape {
        let at: Timestamp
        let by, data, subject: String
        let value: String?
        let reason: String
    }

    /// Does it, and keeps that it was refused, apart from the transaction that is rolled back with it.
    func guarding<Value: Sendable>(by: String, _ act: () async throws -> Value) async throws -> Value {
        do { return try await act() } catch let refused as NotOwner {
            try await pool.query(
                """
                INSERT INTO refused_write (id, by_whom, data, subject, value, reason) VALUES ($1, $2, $3, $4, $5, $6)
                """,
                [
                    .id(.make()), .text(by), .text(refused.data), .text(refused.subject), .text(refused.value),
                    .text(refused.reason),
                ])
            throw Problem.conflict(refused.reason)
        }
    }

    /// The newest first.
    func list(limit: Int) async throws -> [Entry] {
        try await pool.query(
            "SELECT at, by_whom, data, subject, value, reason FROM refused_write ORDER BY id DESC LIMIT $1",
            [.int(limit)]
        ).map { row in
            Entry(
                at: try row.time("at"), by: try row.string("by_whom"), data: try row.string("data"),
                subject: try row.string("subject"), value: try row.optionalString("value"),
                reason: try row.string("reason"))
        }
    }
}
