import Contracts
import Messaging
import Postgres
import Primitives

/// What the gateway says becomes contacts, leads and chats.
struct LeadOpening: Sendable {
    let live: LivePages

    /// Minutes in which a new lead should be taken: its first next step.
    static let takeMinutes = 15

    func handlers() -> EventHandlers {
        var handlers = EventHandlers()
        handlers.on(JourneyOpened.self) { try await open($0, $1, in: $2) }
        handlers.on(MessageReceived.self) { try heard($0, $1, in: $2) }
        handlers.on(MessageSent.self) { said($0, $1, in: $2) }
        handlers.on(AnswersChanged.self) { try await answered($0, $1, in: $2) }
        handlers.on(ConversationHandedOver.self) { handed, event, transaction in
            try await transaction.query(
                "UPDATE conversation SET held_by = $2 WHERE id = $1",
                [.id(handed.conversationId), .text(handed.to == "manager" ? handed.by : nil)])
            notify(event, transaction)
        }
        return handlers
    }

    private func notify(_ event: ReceivedEvent, _ transaction: EventTransaction) {
        guard let journey = event.correlation else { return }
        transaction.afterCommit { live.changed(journey) }
    }

    private func open(
        _ opened: JourneyOpened, _ event: ReceivedEvent, in transaction: EventTransaction
    ) async throws {
        let contact = try await contact(opened.channel, opened.conversationId, in: transaction)
        let responsible = try await Staff.nextResponsible(in: transaction)
        let touch = try opened.attribution.map { try JSON.text($0) }
        let id = ID.make()
        let answers = try await transaction.run([
            Statement(
                """
                INSERT INTO journey (id, contact_id, opened_at) VALUES ($1, $2, $3)
                ON CONFLICT (id) DO NOTHING
                """, [.id(opened.journeyId), .id(contact), .time(event.at)]),
            Statement(
                """
                INSERT INTO conversation (id, journey_id, channel) VALUES ($1, $2, $3)
                ON CONFLICT (id) DO UPDATE SET journey_id = excluded.journey_id
                """, [.id(opened.conversationId), .id(opened.journeyId), .text(opened.channel)]),
            Statement(
                """
                INSERT INTO lead (id, journey_id, conversation_id, contact_id, channel, campaign,
                    first_touch, last_touch, responsible_id, next_task, next_task_at, name)
                SELECT $1, $2, $3, $4, $5, $6, $7::jsonb, $7::jsonb, $8, 'Ответить клиенту',
                    now() + interval '\(Self.takeMinutes) minutes', c.name
                FROM contact c WHERE c.id = $4
                RETURNING number
                """,
                [
                    .id(id), .id(opened.journeyId), .id(opened.conversationId), .id(contact),
                    .text(opened.channel), .text(opened.attribution?.campaignName), .text(touch),
                    .id(responsible?.id),
                ]),
        ])
        guard var lead = try await Lead.find(id: id, in: transaction) else { return }
        try lead.emit(
            LeadCreated(
                leadId: id, number: try answers[2][0].int("number"), journeyId: opened.journeyId,
                name: opened.by, slice: lead.slice),
            cause: event.id, notBefore: event.at, in: transaction)
        notify(event, transaction)
    }

    private func contact(
        _ channel: String, _ conversation: ID, in transaction: EventTransaction
    ) async throws -> ID {
        if let known = try await transaction.query(
            "SELECT contact_id FROM contact_identity WHERE channel = $1 AND conversation_id = $2",
            [.text(channel), .id(conversation)]
        ).first {
            return try known.id("contact_id")
        }
        let id = ID.make()
        try await transaction.run([
            Statement("INSERT INTO contact (id) VALUES ($1)", [.id(id)]),
            Statement(
                "INSERT INTO contact_identity (channel, conversation_id, contact_id) VALUES ($1, $2, $3)",
                [.text(channel), .id(conversation), .id(id)]),
        ])
        return id
    }

    private func heard(
        _ message: MessageReceived, _ event: ReceivedEvent, in transaction: EventTransaction
    ) throws {
        // A command, and an answer to the bot's question, are no words of the request.
        let isRequest = !message.text.hasPrefix("/") && !message.text.isEmpty && message.question == nil
        let touch = try message.attribution.map { try JSON.text($0) }
        let name = message.sender?.name
        chat(
            message.messageId, message.conversationId, event, message.author, message.by, message.text,
            "received", message.sentAt, transaction)
        transaction.write(
            """
            UPDATE lead SET text = coalesce(text, $2), name = coalesce(name, $3),
                last_touch = coalesce($4::jsonb, last_touch),
                external_order_number = coalesce($5, external_order_number),
                updated_at = now(), version = version + 1 WHERE journey_id = $1
            """,
            [
                .id(event.correlation), .text(isRequest ? message.text : nil),
                .text(name), .text(touch), .text(message.externalOrderNumber),
            ])
        transaction.write(
            """
            UPDATE contact SET name = coalesce(name, $2), email = coalesce(email, $3) WHERE id =
                (SELECT contact_id FROM lead WHERE journey_id = $1)
            """, [.id(event.correlation), .text(name), .text(message.sender?.email)])
        notify(event, transaction)
    }

    private func said(
        _ message: MessageSent, _ event: ReceivedEvent, in transaction: EventTransaction
    ) {
        chat(
            message.messageId, message.conversationId, event, message.author, message.by, message.text,
            message.state, event.at, transaction)
        notify(event, transaction)
    }

    private func chat(
        _ id: ID, _ conversation: ID, _ event: ReceivedEvent, _ author: String, _ by: String?,
        _ text: String, _ state: String, _ at: Timestamp, _ transaction: EventTransaction
    ) {
        transaction.write(
            """
            INSERT INTO chat_message (id, journey_id, conversation_id, author, by_whom, text, state, at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT (id) DO UPDATE SET state = excluded.state
            """,
            [
                .id(id), .id(event.correlation), .id(conversation), .text(author), .text(by),
                .text(text), .text(state), .time(at),
            ])
    }

    private func answered(
        _ changed: AnswersChanged, _ event: ReceivedEvent, in transaction: EventTransaction
    ) async throws {
        guard let lead = try await Lead.find(journey: event.correlation, in: transaction) else {
            throw Parked("there is no lead of journey \(event.correlation?.description ?? "none")")
        }
        let ready = changed.state != "open"
        try await transaction.run([
            Statement(
                """
                UPDATE lead SET answers = answers || $2::jsonb, name = coalesce($3, name),
                    phone = coalesce($4, phone),
                    -- The word for one number is none for another.
                    phone_confirmed = CASE WHEN $4 IS DISTINCT FROM phone AND $4 IS NOT NULL THEN $5 ELSE phone_confirmed OR $5 END,
                    email = coalesce($6, email), text = coalesce($7, text), is_ready = is_ready OR $8,
                    is_complete = is_complete OR $9, updated_at = now(), version = version + 1
                WHERE id = $1
                """,
                [
                    .id(lead.id), .text(try JSON.text(changed.answers)), .text(changed.name),
                    .text(changed.phone), .bool(changed.phoneConfirmed), .text(changed.email),
                    .text(changed.answers["need"]), .bool(ready), .bool(changed.state == "complete"),
                ]),
            Statement(
                """
                UPDATE contact c SET name = CASE WHEN EXISTS (SELECT 1 FROM data_owner WHERE field = 'name' AND owner = 'onec')
                        -- 1C's to say: he has a card there.
                        AND EXISTS (SELECT 1 FROM external_id x WHERE x.client_id = c.id AND x.kind = '\(ClientCards.kind)')
                    THEN name
                    -- What a person has put right stays, whatever he himself says later.
                    WHEN (SELECT h.source FROM client_change AS h WHERE h.client_id = c.id AND h.field = 'name' ORDER BY h.id DESC LIMIT 1)
                        = 'crm' THEN name ELSE coalesce($2, name) END,
                    -- What he said himself he may say otherwise.
                    email = CASE WHEN email IS NULL OR email = $4 OR EXISTS (SELECT 1 FROM lead AS l WHERE l.contact_id = c.id AND l.email = c.email)
                        THEN coalesce($3, email) ELSE email END
                    WHERE id = $1
                """,
                [
                    .id(lead.contactID), .text(changed.name), .text(changed.email), .text(lead.email),
                ]),
        ])
        if let phone = changed.phone {
            try await ContactLinking.learn(
                phone, confirmed: changed.phoneConfirmed, lead, in: transaction)
        }
        if ready, !lead.isReady, var known = try await Lead.find(id: lead.id, in: transaction) {
            try known.emit(known.ready(), cause: event.id, notBefore: event.at, in: transaction)
        }
        notify(event, transaction)
    }
}
