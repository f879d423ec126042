import Contracts
import Logging
import Messaging
import Postgres
import Primitives
import ServiceKit

/// Turns durable updates into talks, in the order they came. A batch is one transaction; an update that fails is
/// done alone and, when it cannot be done, parked with its reason.
struct TelegramProcessor: Sendable {
    let bus: EventBus
    let journal: IncomingJournal
    let bots: [String: SuiteSettings.Bot]
    let flows: [String: SuiteSettings.Flow]
    let signal: Signal
    let outgoing: Signal
    let log: Logger

    private struct Incoming: Sendable {
        let id: Int64
        let connection: String
        let receivedAt: Timestamp
        let body: [UInt8]
    }

    /// Updates of one transaction at most.
    private static let batchLimit = 100
    private static let floodBatchLimit = 20

    func run() async throws {
        while !Task.isCancelled {
            guard bus.missing == nil else {
                await signal.wait(seconds: 0.1)
                continue
            }
            let limit = await letArrivalsPass()
            let batch = try await next(limit)
            if batch.isEmpty {
                await signal.wait(seconds: 1)
                continue
            }
            do { try await process(batch) } catch let error as PostgresError where error.isTransient {
                throw error
            } catch {
                for one in batch { try await processAlone(one) }
            }
            outgoing.poke()
        }
    }

    /// What arrives comes first: until it is on disk its sender waits, and gives up. But a small batch is worked every
    /// second even in a flood. The size of the next batch.
    private func letArrivalsPass() async -> Int {
        let end = ContinuousClock.now + .seconds(1)
        while await journal.isFlooded, !Task.isCancelled {
            guard ContinuousClock.now < end else { return Self.floodBatchLimit }
            try? await Task.sleep(for: .milliseconds(10))
        }
        return Self.batchLimit
    }

    private func next(_ limit: Int) async throws -> [Incoming] {
        try await bus.pool.query(
            """
            SELECT id, connection, received_at, body FROM incoming WHERE state = 'new'
            ORDER BY id LIMIT $1
            """, [.int(limit)]
        ).map {
            Incoming(
                id: try $0.int("id"), connection: try $0.string("connection"),
                receivedAt: try $0.time("received_at"), body: try $0.bytes("body"))
        }
    }

    private func process(_ batch: [Incoming]) async throws {
        try await bus.transaction(.relaxed) { transaction in
            var reasons: [String?] = []
            for incoming in batch { reasons.append(try await handle(incoming, in: transaction)) }
            transaction.write(
                """
                UPDATE incoming AS i SET state = CASE WHEN u.reason IS NULL THEN 'done' ELSE 'kept' END,
                    reason = u.reason
                FROM unnest($1::bigint[], $2::text[]) AS u (id, reason) WHERE i.id = u.id
                """, [.ints(batch.map(\.id)), .texts(reasons)])
        }
    }

    private func processAlone(_ incoming: Incoming) async throws {
        do { try await process([incoming]) } catch let error as PostgresError where error.isTransient {
            throw error
        } catch {
            log.error(
                "an update was parked", metadata: ["incoming": "\(incoming.id)", "reason": "\(error)"])
            try await bus.pool.query(
                "UPDATE incoming SET state = 'parked', reason = $2 WHERE id = $1",
                [.int(incoming.id), .text("\(error)")])
        }
    }

    /// Nil when it was worked; else why it is only kept.
    private func handle(_ incoming: Incoming, in transaction: EventTransaction) async throws -> String? {
        guard let bot = bots[incoming.connection], let flow = flows[bot.flow] else {
            return "the bot \(incoming.connection) is no longer configured"
        }
        guard let update = try? JSON.decode(TelegramUpdate.self, from: incoming.body) else {
            return "an update of a shape that is not understood yet"
        }
        if let message = update.message {
            guard message.chat.type == "private", let from = message.from, from.isBot != true else {
                return "not said by a client in a private chat"
            }
            try await said(message, from, incoming.receivedAt, bot, flow, in: transaction)
            return nil
        }
        if let press = update.callbackQuery {
            try await pressed(press, bot, flow, in: transaction)
            return nil
        }
        return "an update of a kind that is not used yet"
    }

    private func said(
        _ message: TelegramUpdate.Message, _ from: TelegramUpdate.User, _ heardAt: Timestamp,
        _ bot: SuiteSettings.Bot, _ flow: SuiteSettings.Flow, in transaction: EventTransaction
    ) async throws {
        let start = message.text.flatMap { StartCommand($0) }
        let attribution = start?.payload.map { Attribution(ref: $0) }
        let sender = Sender(
            id: String(from.id), name: from.name?.withoutNUL, phone: message.ownPhone?.e164)
        var conversation = try await Conversation.open(
            connection: bot.name, externalID: String(message.chat.id), isTelegram: true,
            sender: sender, attribution: attribution, in: transaction)
        var talk = try FlowSession.load(conversation, flow: flow)
        let messageID = ID.make()
        let at = message.at
        let isNew = try await conversation.record(
            messageID: messageID, direction: "in", author: "client",
            externalID: String(message.messageID), text: message.words, state: "received", at: at,
            in: transaction)
        guard isNew else { return conversation.save(in: transaction) }
        try conversation.emit(
            MessageReceived(
                conversationId: conversation.id, messageId: messageID, channel: bot.name,
                author: "client", sender: sender, text: message.words.withoutNUL, sentAt: at,
                attribution: attribution, attachments: message.media == nil ? 0 : 1,
                question: conversation.heldBy == nil && start == nil ? talk.question : nil,
                by: from.name?.withoutNUL ?? "клиент"),
            in: transaction)
        conversation.heardAt = heardAt
        if conversation.waitingSince == nil { conversation.waitingSince = heardAt }
        if conversation.heldBy == nil {
            let input: FlowTalk.Input
            if start != nil {
                input = .start
            } else if let contact = message.contact, let phone = Phone(contact.phoneNumber) {
                input = .contact(phone, own: message.ownPhone != nil)
            } else {
                input = .text(message.words)
            }
            try Self.go(on: &talk, input, &conversation, sender.name, in: transaction)
        }
        conversation.save(in: transaction)
    }

    private func pressed(
        _ press: TelegramUpdate.CallbackQuery, _ bot: SuiteSettings.Bot, _ flow: SuiteSettings.Flow,
        in transaction: EventTransaction
    ) async throws {
        let chat = press.message?.chat.id ?? press.from.id
        var conversation = try await Conversation.open(
            connection: bot.name, externalID: String(chat), isTelegram: true,
            sender: Sender(id: String(press.from.id), name: press.from.name?.withoutNUL),
            attribution: nil, in: transaction)
        try Outbox.add(
            .callbackAnswer(press.id), author: "bot", by: nil, to: conversation, in: transaction)
        // A press may overtake the message before it; consent is taken whenever it comes.
        if press.data == Outbox.consentData {
            var talk = try FlowSession.load(conversation, flow: flow)
            try Self.go(
                on: &talk, .consentPressed, &conversation, press.from.name?.withoutNUL, in: transaction)
        }
        conversation.save(in: transaction)
    }

    private static func go(
        on talk: inout FlowTalk, _ input: FlowTalk.Input, _ conversation: inout Conversation, _ sender: String?,
        in transaction: EventTransaction
    ) throws {
        let actions = talk.handle(input)
        try FlowSession.save(talk, conversation, in: transaction)
        try FlowSession.perform(actions, talk, &conversation, senderName: sender, in: transaction)
    }
}

/// `/start`, with the deep link's payload if there is one (up to 64 of A–Z a–z 0–9 _ -).
struct StartCommand {
    let payload: String?

    init?(_ text: String) {
        let words = text.split(separator: " ", maxSplits: 1)
        guard let command = words.first?.split(separator: "@").first, command == "/start" else {
            return nil
        }
        payload = words.count > 1 ? String(words[1].prefix(64)) : nil
    }
}
