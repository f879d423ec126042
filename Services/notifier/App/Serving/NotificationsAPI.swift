import Contracts
import Hummingbird
import Messaging
import Postgres
import Primitives
import ServiceKit

/// What was said to whom, and how its delivery went.
struct NotificationsAPI: Sendable {
    let bus: EventBus
    let signal: Signal

    struct View: AnswerShape {
        let id: ID
        let template, recipient, subject, state: String
        let attempts: Int64
        let reason: String?
        let journeyId: ID?
        let dedupeKey: String
        let createdAt: Timestamp
    }
    struct DeliveryView: AnswerShape {
        let id, notificationId: ID
        let at: Timestamp
        let outcome: String
        let reason: String?
    }
    struct Body: Decodable, Sendable {
        let to, template: String
        let data: [String: String]?
        let journeyId: ID?
        let dedupeKey: String
        let notBefore: Timestamp?
    }

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/api/v1/notifications") { request, context in
            try context.require("head", "integrator", "reader")
            let limit = try request.limit()
            let rows = try await bus.pool.query(
                """
                SELECT id, template, recipient, subject, state, attempts, reason, correlation, dedupe_key, created_at
                FROM notification WHERE ($1::uuid IS NULL OR id < $1) AND ($2::uuid IS NULL OR correlation = $2)
                    AND ($3::text IS NULL OR state = $3) ORDER BY id DESC LIMIT $4
                """,
                [
                    .id(try request.idQuery("after")), .id(try request.idQuery("journeyId")),
                    .text(request.query("state")),
                    .int(limit + 1),
                ])
            let items = try rows.prefix(limit).map {
                View(
                    id: try $0.id("id"), template: try $0.string("template"),
                    recipient: try $0.string("recipient"), subject: try $0.string("subject"),
                    state: try $0.string("state"), attempts: try $0.int("attempts"),
                    reason: try $0.optionalString("reason"), journeyId: try $0.optionalID("correlation"),
                    dedupeKey: try $0.string("dedupe_key"), createdAt: try $0.time("created_at"))
            }
            return try Response.json(
                Page(items: items, next: rows.count > limit ? items.last?.id.description : nil))
        }
        router.get("/api/v1/deliveries") { request, context in
            try context.require("head", "integrator", "reader")
            let limit = try request.limit()
            let rows = try await bus.pool.query(
                """
                SELECT id, notification_id, at, outcome, reason FROM delivery
                WHERE ($1::uuid IS NULL OR id < $1) ORDER BY id DESC LIMIT $2
                """, [.id(try request.idQuery("after")), .int(limit + 1)])
            let items = try rows.prefix(limit).map {
                DeliveryView(
                    id: try $0.id("id"), notificationId: try $0.id("notification_id"),
                    at: try $0.time("at"), outcome: try $0.string("outcome"),
                    reason: try $0.optionalString("reason"))
            }
            return try Response.json(
                Page(items: items, next: rows.count > limit ? items.last?.id.description : nil))
        }
        router.post("/api/v1/notifications/:id/resend") { _, context in
            try context.require("integrator", "head")
            guard let id = ID(try context.text("id")) else { throw Problem.notFound("notification") }
            // To the address that he has now, if only one person has this name.
            let found = try await bus.pool.query(
                """
                UPDATE notification AS n SET state = 'ready', attempts = 0, reason = NULL, not_before = now(), email = a.email
                FROM (SELECT m.id, coalesce((SELECT min(r.email) FROM recipient AS r WHERE r.active AND r.name = m.recipient
                        HAVING count(*) = 1), m.email) AS email FROM notification AS m WHERE m.id = $1) AS a
                WHERE n.id = a.id AND n.state = 'failed' AND a.email IS NOT NULL RETURNING 1 AS one
                """, [.id(id)])
            guard !found.isEmpty else {
                throw Problem.conflict(
                    "there is no letter of this id that has failed and whose recipient has an address")
            }
            signal.poke()
            return Response(status: .accepted)
        }
        router.post("/api/v1/notifications") { request, context in
            try context.require("integrator", "head")
            let body = try await request.json(Body.self)
            guard LetterText.templates[body.template] != nil else {
                throw Problem.invalid("there is no template «\(body.template)»")
            }
            guard (1...200).contains(body.dedupeKey.count) else {
                throw Problem.invalid("dedupeKey has 1 to 200 characters")
            }
            let id = try await bus.transaction { transaction in
                let row = try await transaction.query(
                    "SELECT name, email FROM recipient WHERE active AND (email = $1 OR user_id::text = $1)",
                    [.text(body.to)]
                ).first
                guard let row else { throw Problem.invalid("«\(body.to)» is no member of staff") }
                var fields: [String: Any] = body.data ?? [:]
                fields["recipient"] = try row.string("name")
                return try await Letters.insert(
                    key: "api/\(body.dedupeKey)", template: body.template,
                    recipient: try row.string("name"), email: try row.optionalString("email"),
                    try LetterText(template: body.template, fields), correlation: body.journeyId,
                    cause: nil, notBefore: body.notBefore, in: transaction)
            }
            signal.poke()
            return try Response.json(["duplicate": id == nil], .accepted)
        }
    }
}
