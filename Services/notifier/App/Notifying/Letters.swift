import Contracts
import Messaging
import Mustache
import Postgres
import Primitives
import ServiceKit

/// Who is told what, and in which words. A letter is made once per dedupe key.
struct Letters: Sendable {
    let publicURL: String?

    func handlers() -> (crm: EventHandlers, bridge: EventHandlers) {
        var crm = EventHandlers()
        crm.on(UserChanged.self) { user, _, transaction in
            try await transaction.query(
                """
                INSERT INTO recipient (user_id, name, roles, email, active) VALUES ($1, $2, $3::text[], $4, $5)
                ON CONFLICT (user_id) DO UPDATE SET name = excluded.name, roles = excluded.roles,
                    email = excluded.email, active = excluded.active
                """,
                [
                    .id(user.userId), .text(user.name), .texts(user.roles), .text(user.email),
                    .bool(user.active),
                ])
        }
        crm.on(LeadReady.self) { lead, event, transaction in
            guard let responsible = lead.responsibleId else { return }
            try await write(
                "new_lead", key: "new-lead/\(lead.leadId)", to: [responsible],
                [
                    "number": lead.number, "name": lead.name ?? "", "phone": lead.phone ?? "",
                    "text": lead.text ?? "", "channel": lead.slice.channel ?? "—",
                    "complete": lead.complete, "leadId": lead.leadId.description,
                ], event, in: transaction)
        }
        crm.on(PaymentRecorded.self) { payment, event, transaction in
            guard payment.counted, payment.kind == "payment", let responsible = payment.responsibleId
            else { return }
            try await write(
                "payment_received", key: "payment-received/\(payment.documentKey)", to: [responsible],
                [
                    "amount": HumanText.money(payment.amount),
                    "order": payment.orderNumber, "document": payment.documentNumber ?? "",
                    "date": HumanText.day(payment.date), "dealId": payment.dealId?.description ?? "",
                ], event, in: transaction)
        }
        var bridge = EventHandlers()
        bridge.on(ExchangeFailing.self) { failing, event, transaction in
            // What stands aside while the rest goes on is mended by those who keep the books.
            let isPart = ["refusals", "documents"].contains(failing.kind)
            let roles = isPart ? ["admin", "integrator", "accountant"] : ["admin", "integrator"]
            let recipients = try await transaction.query(
                "SELECT user_id FROM recipient WHERE active AND roles && $1::text[]", [.texts(roles)]
            ).map { try $0.id("user_id") }
            try await write(
                isPart ? "exchange_set_aside" : "exchange_failing", key: "exchange-failing/\(failing.causeId)",
                to: recipients,
                [
                    "base": failing.base, "cause": failing.cause, "since": LocalTime.text(failing.since),
                ], event, in: transaction)
        }
        return (crm, bridge)
    }

    private func write(
        _ template: String, key: String, to users: [ID], _ fields: [String: Any],
        _ event: ReceivedEvent, in transaction: EventTransaction
    ) async throws {
        for user in users {
            guard
                let row = try await transaction.query(
                    "SELECT name, email FROM recipient WHERE user_id = $1 AND active", [.id(user)]
                ).first
            else { continue }
            var fields = fields
            fields["recipient"] = try row.string("name")
            fields["link"] = publicURL ?? ""
            let letter = try LetterText(template: template, fields)
            let email = try row.optionalString("email")
            try await Self.insert(
                key: "\(key)/\(user)", template: template, recipient: try row.string("name"),
                email: email, letter, correlation: event.correlation, cause: event.id,
                in: transaction)
        }
    }

    /// Nil when a letter with this key exists already.
    @discardableResult
    static func insert(
        key: String, template: String, recipient: String, email: String?, _ letter: LetterText,
        correlation: ID?, cause: ID?, notBefore: Timestamp? = nil, in transaction: EventTransaction
    ) async throws -> ID? {
        let id = ID.make()
        let added = try await transaction.query(
            """
            INSERT INTO notification (id, dedupe_key, template, recipient, email, subject, body, state, reason,
                correlation, cause, not_before)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, coalesce($12, now()))
            ON CONFLICT ON CONSTRAINT notification_once DO NOTHING
            """,
            [
                .id(id), .text(key), .text(template), .text(recipient), .text(email),
                .text(letter.subject), .text(letter.body), .text(email == nil ? "failed" : "ready"),
                .text(email == nil ? "у получателя нет адреса" : nil), .id(correlation), .id(cause),
                .time(notBefore),
            ]
        ).affected
        return added == 1 ? id : nil
    }
}

/// A rendered letter: the template's first line is its subject.
struct LetterText: Sendable {
    let subject, body: String

    static let templates = [
        "new_lead": PackageResources.new_lead_mustache,
        "payment_received": PackageResources.payment_received_mustache,
        "exchange_failing": PackageResources.exchange_failing_mustache,
        "exchange_set_aside": PackageResources.exchange_set_aside_mustache,
    ]

    init(template name: String, _ fields: [String: Any]) throws {
        guard let bytes = Self.templates[name] else { throw Parked("there is no template «\(name)»") }
        // Plain text: nothing is to be escaped as HTML.
        let source = String(decoding: bytes, as: UTF8.self)
        let template = try MustacheTemplate(string: "{{%CONTENT_TYPE:TEXT}}" + source)
        // To the template an empty text is a text: its line would stand there with nothing in it.
        let filled = fields.filter { ($0.value as? String)?.isEmpty != true }
        let lines = template.render(filled).split(separator: "\n", omittingEmptySubsequences: false)
        subject = String(lines.first ?? "")
        body = lines.dropFirst().joined(separator: "\n")
    }
}
