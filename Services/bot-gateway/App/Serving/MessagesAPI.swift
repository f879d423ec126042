import Contracts
import Hummingbird
import Messaging
import Postgres
import Primitives
import ServiceKit

/// `POST /api/v1/messages`: what any other bot or form heard or said.
struct MessagesAPI: Sendable {
    let bus: EventBus
    let telegramBots: Set<String>
    /// Shops whose orders are fetched: their names are nobody else's channel.
    let fetched: Set<String>
    let ledger: ConnectorLedger

    struct Body: Decodable, Sendable {
        struct Attachment: Decodable, Sendable { let name, url, contentType: String? }
        struct Consent: Decodable, Sendable {
            let given: Bool?
            let text: String?
        }
        let channel: String
        var conversationId: String
        let messageId: String
        let direction, author: String?
        private(set) var sender: Sender?
        private(set) var text: String?
        let sentAt: Timestamp?
        let attachments: [Attachment]?
        private(set) var answers: [String: String]?
        private(set) var consent: Consent?
        private(set) var externalOrderNumber: String?
        private(set) var attribution: Attribution?

        /// What goes into the database and events: no text can hold U+0000 there. The raw body keeps it.
        var clean: Body {
            var body = self
            body.sender = sender?.clean
            body.text = text?.withoutNUL
            body.answers = answers.map { answers in
                Dictionary(answers.map { ($0.key.withoutNUL, $0.value.withoutNUL) }) { first, _ in first }
            }
            body.consent = consent.map { Consent(given: $0.given, text: $0.text?.withoutNUL) }
            body.externalOrderNumber = externalOrderNumber?.withoutNUL
            body.attribution = attribution?.clean
            return body
        }
    }

    struct Accepted: Encodable, Sendable {
        let journeyId, conversationId: ID
        let duplicate: Bool
    }

    static let bodyLimit = 256 * 1024
    private static let nameLimit = 200
    /// Bytes of the text, and of all answers together, at most: both travel inside one event.
    private static let textLimit = 64 * 1024
    private static let answersLimit = 64 * 1024
    private static let attachmentLimit = 50

    func add(to router: Router<ServiceRequestContext>) {
        router.post("/api/v1/messages") { request, context in
            let caller = try context.require("bot")
            let bytes = try await request.bytes(limit: Self.bodyLimit)
            let body: Body
            do { body = try JSON.decode(Body.self, from: bytes) } catch {
                try await keep(bytes, caller)
                let place = (error as? DecodingError)?.place ?? "the body is no JSON"
                throw Problem.badRequest("\(place); the body is kept")
            }
            return try Response.json(try await take(body, bytes, from: caller), .accepted)
        }
    }

    /// Takes a message, once.
    ///
    /// - Parameter bytes: as it came.
    func take(_ body: Body, _ bytes: [UInt8], from caller: Caller) async throws -> Accepted {
        try check(body, caller)
        let accepted = try await take(body.clean, bytes)
        ledger.note(.init("messages", body.channel, "in"))
        return accepted
    }

    /// The talk of this person's forms from when they went by the number alone: `form:+7…`, under the same name.
    func talk(before message: Body) async throws -> String? {
        let parts = message.conversationId.split(separator: ":")
        guard parts.count == 3, let name = message.sender?.name?.lowercased().trimmed else { return nil }
        let rows = try await bus.pool.query(
            "SELECT external_id, sender->>'name' AS name FROM conversation WHERE connection = $1 AND external_id = $2",
            [.text(message.channel), .text(parts.prefix(2).joined(separator: ":"))])
        guard let row = rows.first, try row.optionalString("name")?.lowercased().trimmed == name else { return nil }
        return try row.string("external_id")
    }

    /// Takes what we have fetched ourselves, once. What a shop does with an order after its journey has ended opens no other.
    func take(fetched body: Body, _ bytes: [UInt8]) async throws -> Accepted {
        try check(body)
        return try await take(body.clean, bytes, reopens: false)
    }

    private func check(_ body: Body, _ caller: Caller) throws {
        guard caller.channels.isEmpty || caller.channels.contains(body.channel) else {
            throw Problem.forbidden
        }
        guard !fetched.contains(body.channel) else {
            throw Problem.invalid("«\(body.channel)» is a shop whose orders we fetch ourselves")
        }
        try check(body)
    }

    private func check(_ body: Body) throws {
        guard !telegramBots.contains(body.channel) else {
            throw Problem.invalid("«\(body.channel)» is a Telegram bot: its messages come from Telegram")
        }
        for (name, value) in [
            ("channel", body.channel), ("conversationId", body.conversationId),
            ("messageId", body.messageId),
        ] where value.isEmpty || value.utf8.count > Self.nameLimit || value.contains("\0") {
            throw Problem.invalid("\(name) has 1 to \(Self.nameLimit) bytes")
        }
        guard (body.text ?? "").utf8.count <= Self.textLimit else {
            throw Problem.invalid("text has at most \(Self.textLimit) bytes")
        }
        let answers = (body.answers ?? [:]).reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count }
        guard answers <= Self.answersLimit else {
            throw Problem.invalid("answers have at most \(Self.answersLimit) bytes together")
        }
        guard (body.attachments ?? []).count <= Self.attachmentLimit else {
            throw Problem.invalid("a message has at most \(Self.attachmentLimit) attachments")
        }
        let words = [
            body.sender?.id, body.sender?.name, body.sender?.phone, body.sender?.email,
            body.externalOrderNumber, body.attribution?.source, body.attribution?.medium,
            body.attribution?.campaign, body.attribution?.content, body.attribution?.term,
            body.attribution?.ref,
        ]
        guard words.allSatisfy({ ($0 ?? "").utf8.count <= 1000 }) else {
            throw Problem.invalid("sender, attribution and externalOrderNumber hold at most 1000 bytes a field")
        }
        guard ["in", "out"].contains(body.direction ?? "in") else {
            throw Problem.invalid("direction is in or out")
        }
        guard ["client", "bot", "manager"].contains(body.author ?? "client") else {
            throw Problem.invalid("author is client, bot or manager")
        }
    }

    func keep(_ bytes: [UInt8], _ caller: Caller) async throws {
        try await bus.pool.query(
            """
            INSERT INTO incoming (connection, state, reason, body)
            VALUES ($1, 'parked', 'the body could not be understood', $2)
            """, [.text("api:\(caller.name)"), .bytes(bytes)])
    }

    private func take(_ body: Body, _ bytes: [UInt8], reopens: Bool = true) async throws -> Accepted {
        try await bus.transaction { transaction in
            let key = "\(body.conversationId)\u{1f}\(body.messageId)"
            let isNew =
                try await transaction.query(
                    """
                    INSERT INTO incoming (connection, dedupe_key, state, body) VALUES ($1, $2, 'done', $3)
                    ON CONFLICT ON CONSTRAINT incoming_once DO NOTHING
                    """, [.text(body.channel), .text(key), .bytes(bytes)]
                ).affected == 1
            guard isNew else { return try await known(body, in: transaction) }
            var conversation = try await Conversation.open(
                connection: body.channel, externalID: body.conversationId, isTelegram: false,
                sender: body.sender ?? Sender(), attribution: body.attribution, reopens: reopens,
                in: transaction)
            if body.direction == "out" {
                try await said(body, &conversation, in: transaction)
            } else {
                try await heard(body, &conversation, in: transaction)
            }
            conversation.save(in: transaction)
            return Accepted(
                journeyId: conversation.journeyID, conversationId: conversation.id, duplicate: false)
        }
    }

    /// The same message again: what it was told the first time.
    private func known(_ body: Body, in transaction: EventTransaction) async throws -> Accepted {
        let rows = try await transaction.query(
            """
            SELECT c.id, coalesce(m.journey_id, c.journey_id) AS journey_id FROM conversation c
            LEFT JOIN message m ON m.conversation_id = c.id AND m.external_id = $3
            WHERE c.connection = $1 AND c.external_id = $2
            """, [.text(body.channel), .text(body.conversationId), .text(body.messageId)])
        guard let row = rows.first else { throw Problem.conflict("the first copy is still being taken") }
        return Accepted(
            journeyId: try row.id("journey_id"), conversationId: try row.id("id"), duplicate: true)
    }

    private func heard(
        _ body: Body, _ conversation: inout Conversation, in transaction: EventTransaction
    ) async throws {
        let messageID = ID.make()
        let at = body.sentAt ?? .now()
        let text = body.text ?? ""
        _ = try await conversation.record(
            messageID: messageID, direction: "in", author: "client", externalID: body.messageId,
            text: text, state: "received", at: at, in: transaction)
        try conversation.emit(
            MessageReceived(
                conversationId: conversation.id, messageId: messageID, channel: body.channel,
                author: "client", sender: body.sender, text: text, sentAt: at,
                attribution: body.attribution, externalOrderNumber: body.externalOrderNumber,
                attachments: body.attachments?.count ?? 0, by: body.sender?.name ?? "клиент"),
            in: transaction)
        if conversation.waitingSince == nil { conversation.waitingSince = .now() }
        if let consent = body.consent, consent.given ?? true {
            try conversation.emit(
                ConsentGiven(
                    conversationId: conversation.id, channel: body.channel, how: "form",
                    textDigest: consent.text ?? "", by: body.sender?.name ?? "клиент"),
                in: transaction)
        }
        let answers = body.answers ?? [:]
        // A form says everything at once: the lead is ready with its first message.
        guard conversation.isNewJourney || !answers.isEmpty || body.sender?.phone != nil else { return }
        let phone = (body.sender?.phone ?? answers["phone"]).flatMap { Phone($0)?.e164 }
        try conversation.emit(
            AnswersChanged(
                conversationId: conversation.id, channel: body.channel, answers: answers,
                name: body.sender?.name ?? answers["name"], phone: phone,
                phoneConfirmed: false, email: body.sender?.email ?? answers["email"],
                state: "complete"),
            in: transaction)
    }

    private func said(
        _ body: Body, _ conversation: inout Conversation, in transaction: EventTransaction
    ) async throws {
        let messageID = ID.make()
        let author = body.author == "manager" ? "manager" : "bot"
        let text = body.text ?? ""
        _ = try await conversation.record(
            messageID: messageID, direction: "out", author: author, externalID: body.messageId,
            text: text, state: "sent", at: body.sentAt ?? .now(), in: transaction)
        let seconds = conversation.waitingSince.map { max(0, Timestamp.now().seconds(since: $0)) }
        if author == "manager" { conversation.waitingSince = nil }
        try conversation.emit(
            MessageSent(
                conversationId: conversation.id, messageId: messageID, channel: body.channel,
                author: author, text: text, state: "sent", responseSeconds: seconds,
                by: body.sender?.name ?? (author == "bot" ? "бот" : "менеджер")),
            in: transaction)
    }
}

extension Sender {
    var clean: Sender {
        Sender(
            id: id?.withoutNUL, name: name?.withoutNUL, phone: phone?.withoutNUL,
            email: email?.withoutNUL)
    }
}

extension Attribution {
    var clean: Attribution {
        Attribution(
            source: source?.withoutNUL, medium: medium?.withoutNUL, campaign: campaign?.withoutNUL,
            content: content?.withoutNUL, term: term?.withoutNUL, ref: ref?.withoutNUL)
    }
}
