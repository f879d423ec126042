import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit
import Sodium

/// A questionnaire's state between messages; it survives a restart in the database.
enum FlowSession {
    static let columns = """
        flow::text AS flow, step, answers::text AS answers, phone_confirmed,
        consent_at IS NOT NULL AS has_consent, state
        """

    /// The run that is under way; the talk's row, which is locked, guards it.
    static func load(_ conversation: Conversation, flow: SuiteSettings.Flow) throws -> FlowTalk {
        guard !conversation.isNewJourney, let row = conversation.session else { return FlowTalk(flow: flow) }
        // A talk goes on with the text it began with, also after the flow was edited.
        let begun = try JSON.decode(SuiteSettings.Flow.self, from: try row.string("flow").utf8)
        var talk = FlowTalk(flow: begun)
        talk.isFresh = false
        talk.step = Int(try row.int("step"))
        talk.answers = try JSON.decode([String: String].self, from: try row.string("answers").utf8)
        talk.phoneConfirmed = try row.bool("phone_confirmed")
        talk.hasConsent = try row.bool("has_consent")
        talk.state = FlowTalk.State(rawValue: try row.string("state")) ?? .open
        return talk
    }

    static func save(
        _ talk: FlowTalk, _ conversation: Conversation, in transaction: EventTransaction
    ) throws {
        let answers = talk.answers.mapValues(\.withoutNUL)
        transaction.write(
            """
            INSERT INTO flow_session AS s
                (conversation_id, flow, step, answers, phone_confirmed, consent_at, state)
            VALUES ($1, $2::jsonb, $3, $4::jsonb, $5, CASE WHEN $6 THEN now() END, $7)
            ON CONFLICT (conversation_id) DO UPDATE SET flow = excluded.flow, step = excluded.step,
                answers = excluded.answers, phone_confirmed = excluded.phone_confirmed,
                consent_at = CASE WHEN $6 THEN coalesce(s.consent_at, now()) END,
                state = excluded.state, touched_at = now()
            """,
            [
                .id(conversation.id), .text(try JSON.text(talk.flow)), .int(talk.step),
                .text(try JSON.text(answers)), .bool(talk.phoneConfirmed), .bool(talk.hasConsent),
                .text(talk.state.rawValue),
            ])
    }

    /// Carries out what the talk decided.
    static func perform(
        _ actions: [FlowTalk.Action], _ talk: FlowTalk, _ conversation: inout Conversation,
        senderName: String?, in transaction: EventTransaction
    ) throws {
        for action in actions {
            switch action {
            case .tell:
                try conversation.emit(
                    AnswersChanged(
                        conversationId: conversation.id, channel: conversation.connection,
                        answers: talk.answers, name: talk.answers["name"] ?? senderName,
                        phone: talk.phone?.e164, phoneConfirmed: talk.phoneConfirmed,
                        email: talk.email, state: talk.state.rawValue, step: talk.place),
                    in: transaction)
            case .consent(let how):
                try conversation.emit(
                    ConsentGiven(
                        conversationId: conversation.id, channel: conversation.connection, how: how,
                        textDigest: hex(sha256(Array(talk.flow.consentText.utf8))),
                        by: senderName ?? "клиент"),
                    in: transaction)
            case .say(let text, let keyboard):
                try Outbox.add(
                    .message(text, keyboard), author: "bot", by: nil, to: conversation,
                    in: transaction)
            }
        }
    }
}
