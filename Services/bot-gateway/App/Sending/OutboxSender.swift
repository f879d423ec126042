import Contracts
import Curl
import Logging
import Messaging
import Postgres
import Primitives
import ServiceKit

/// Sends one bot's replies. A row is marked `sending`, durably, before its request leaves: Telegram has no key that
/// would let a repeat be recognised, so a send whose outcome is unknown is marked so and never repeated.
struct OutboxSender: Sendable {
    let bot: SuiteSettings.Bot
    let bus: EventBus
    let http: HTTPClient
    let signal: Signal
    let ledger: ConnectorLedger
    let log: Logger

    private struct Item: Sendable {
        let id: ID
        let chat, method: String
        let payload: [UInt8]
    }

    enum Outcome: Sendable, Equatable {
        case sent(messageID: String?)
        case failed(String)
        case unknown(String)
        /// It surely did not take effect. `blames`: the way that all replies go stands still, which no single reply is the cause of.
        case later(seconds: Double, reason: String, blames: Blame)
    }
    enum Blame: Sendable, Equatable { case way, reply }

    /// Requests under way at a time.
    private static let parallel = 8
    /// Attempts that the other side answered with a failure of its own before a reply is given up: about two hours.
    private static let attemptLimit = 20
    /// Seconds that a reply waits for a way that stands still: what is older comes too late to be an answer.
    private static let ageLimit = 86_400.0
    /// Seconds between two attempts at most.
    private static let longestPause = 600.0

    func run() async throws {
        // Whoever marked these did not live to write the outcome.
        try await settleInterrupted()
        let start = ContinuousClock.now
        var pace = SendPace(now: 0)
        while !Task.isCancelled {
            guard bus.missing == nil else {
                await signal.wait(seconds: 0.2)
                continue
            }
            let now = start.duration(to: .now).seconds
            var wait = 1.0
            var chosen: [Item] = []
            for item in try await ready() {
                if chosen.count == Self.parallel { break }
                if item.method != "sendMessage" {
                    chosen.append(item)
                } else if let pause = pace.wait(chat: item.chat, now: now) {
                    wait = min(wait, pause)
                } else {
                    chosen.append(item)
                }
            }
            if chosen.isEmpty {
                await signal.wait(seconds: max(0.02, wait))
                continue
            }
            try await mark(chosen)
            for (item, outcome) in await sendAll(chosen) {
                note(outcome)
                if case .later(let seconds, _, .way) = outcome { pace.pause(seconds: seconds, now: now) }
                try await settle(item.id, outcome)
            }
        }
    }

    private func note(_ outcome: Outcome) {
        let way = ConnectorLedger.Way("telegram", bot.name, "out")
        switch outcome {
        case .sent: ledger.note(way)
        case .failed(let why), .unknown(let why), .later(_, let why, _): ledger.note(way, trouble: why)
        }
    }

    /// The first reply of each chat: within a chat they leave in order. From chat to chat through the index: however many wait in one, the
    /// others are found.
    private func ready() async throws -> [Item] {
        try await bus.pool.query(
            """
            WITH RECURSIVE waiting AS (
                (SELECT chat FROM outbox WHERE connection = $1 AND state = 'ready' ORDER BY chat LIMIT 1)
                UNION ALL
                SELECT (SELECT o.chat FROM outbox AS o WHERE o.connection = $1 AND o.state = 'ready' AND o.chat > w.chat
                    ORDER BY o.chat LIMIT 1)
                FROM waiting AS w WHERE w.chat IS NOT NULL)
            SELECT first.id, first.chat, first.method, first.payload FROM waiting AS w CROSS JOIN LATERAL (
                SELECT * FROM outbox AS o WHERE o.connection = $1 AND o.state = 'ready' AND o.chat = w.chat
                ORDER BY o.position LIMIT 1) AS first
            WHERE first.not_before <= now() ORDER BY first.position LIMIT 200
            """, [.text(bot.name)]
        ).map {
            Item(
                id: try $0.id("id"), chat: try $0.string("chat"), method: try $0.string("method"),
                payload: try $0.bytes("payload"))
        }
    }

    private func mark(_ items: [Item]) async throws {
        try await bus.pool.query(
            "UPDATE outbox SET state = 'sending', attempts = attempts + 1 WHERE id = ANY($1::uuid[])",
            [.ids(items.map(\.id))])
    }

    private func sendAll(_ items: [Item]) async -> [(Item, Outcome)] {
        await withTaskGroup(of: (Item, Outcome).self) { group in
            for item in items { group.addTask { (item, await send(item)) } }
            return await group.reduce(into: []) { $0.append($1) }
        }
    }

    private func send(_ item: Item) async -> Outcome {
        do {
            let response = try await http.send(
                .init(
                    "POST", "\(bot.upstream)/bot\(bot.token)/\(item.method)",
                    headers: [("Content-Type", "application/json")], body: item.payload,
                    timeoutSeconds: 30))
            return Self.understand(status: response.status, body: response.body)
        } catch let failure as HTTPClient.Failure where !failure.mayHaveArrived {
            return .later(seconds: 2, reason: failure.description, blames: .way)
        } catch {
            return .unknown("no answer came back: \(error)")
        }
    }

    /// What the Bot API's answer means for the reply.
    static func understand(status: Int, body: [UInt8]) -> Outcome {
        struct Answer: Decodable {
            struct Parameters: Decodable {
                let retryAfter: Double?
                enum CodingKeys: String, CodingKey { case retryAfter = "retry_after" }
            }
            let ok: Bool
            let description: String?
            let parameters: Parameters?
            let result: RawJSON?
        }
        guard let answer = try? JSON.decode(Answer.self, from: body) else {
            return status >= 500
                ? .unknown("the server answered \(status) without an explanation")
                : .failed("the server answered \(status) without an explanation")
        }
        if answer.ok {
            if case .int(let id)? = answer.result?["message_id"] { return .sent(messageID: String(id)) }
            return .sent(messageID: nil)
        }
        let words = answer.description ?? "status \(status)"
        if status == 429 {
            return .later(
                seconds: answer.parameters?.retryAfter ?? 5, reason: words, blames: .way)
        }
        return status >= 500 ? .later(seconds: 3, reason: words, blames: .reply) : .failed(words)
    }

    private func settleInterrupted() async throws {
        let rows = try await bus.pool.query(
            "SELECT id FROM outbox WHERE connection = $1 AND state = 'sending'", [.text(bot.name)])
        for row in rows {
            try await settle(
                try row.id("id"), .unknown("the gateway stopped while it was being sent"))
        }
    }

    private func settle(_ id: ID, _ outcome: Outcome) async throws {
        try await bus.transaction(.relaxed) { transaction in
            guard
                let row = try await transaction.query(
                    """
                    SELECT conversation_id, author, text, cause, correlation, by_whom, waiting_since, attempts, created_at,
                        method FROM outbox WHERE id = $1 FOR UPDATE
                    """, [.id(id)]
                ).first
            else { return }
            var outcome = outcome
            if case .later(let seconds, let reason, let blame) = outcome {
                let attempts = try row.int("attempts")
                let isOver =
                    blame == .way
                    ? Timestamp.now().seconds(since: try row.time("created_at")) >= Self.ageLimit
                    : attempts >= Self.attemptLimit
                guard isOver else {
                    return try await wait(id, attempts, seconds, reason, blame, in: transaction)
                }
                outcome = .failed(reason)
            }
            let (state, reason, external) = Self.words(outcome)
            try await transaction.query(
                "UPDATE outbox SET state = $2, reason = $3 WHERE id = $1",
                [.id(id), .text(state), .text(reason)])
            guard try row.string("method") == "sendMessage",
                let conversationID = try row.optionalID("conversation_id"),
                var conversation = try await Conversation.find(conversationID, in: transaction)
            else { return }
            try await say(row, id, state, reason, external, &conversation, in: transaction)
        }
    }

    /// Puts it back. Each failure of the other side doubles the pause; a way that stands still is no attempt of the reply's own.
    private func wait(
        _ id: ID, _ attempts: Int64, _ seconds: Double, _ reason: String, _ blame: Blame,
        in transaction: EventTransaction
    ) async throws {
        var pause = seconds
        if blame == .reply {
            var backoff = Backoff(first: seconds, limit: Self.longestPause, jitter: 0)
            for _ in 0..<attempts { pause = backoff.next() }
        }
        try await transaction.query(
            """
            UPDATE outbox SET state = 'ready', reason = $2, attempts = $3,
                not_before = now() + make_interval(secs => $4) WHERE id = $1
            """, [.id(id), .text(reason), .int(blame == .way ? attempts - 1 : attempts), .double(pause)])
    }

    private func say(
        _ row: Row, _ id: ID, _ state: String, _ reason: String?, _ external: String?,
        _ conversation: inout Conversation, in transaction: EventTransaction
    ) async throws {
        let author = try row.string("author")
        let text = try row.string("text")
        // Telegram numbers what we send in the same row as what we get.
        _ = try await conversation.record(
            messageID: id, direction: "out", author: author, externalID: external ?? "out-\(id)",
            text: text, state: state, at: .now(), in: transaction)
        var seconds: Double?
        if state == "sent", let since = try row.optionalTime("waiting_since") {
            seconds = max(0, Timestamp.now().seconds(since: since))
            if conversation.waitingSince == since, author == "manager" { conversation.waitingSince = nil }
        }
        let event = try transaction.emit(
            MessageSent(
                conversationId: conversation.id, messageId: id, channel: bot.name, author: author,
                text: text, state: state, reason: reason, responseSeconds: seconds,
                by: try row.optionalString("by_whom") ?? "бот"),
            key: conversation.id.description, correlation: try row.optionalID("correlation"),
            causation: try row.optionalID("cause"))
        if try row.optionalID("correlation") == conversation.journeyID { conversation.lastEvent = event }
        conversation.save(in: transaction)
    }

    private static func words(_ outcome: Outcome) -> (String, String?, String?) {
        switch outcome {
        case .sent(let id): ("sent", nil, id)
        case .failed(let why): ("failed", why, nil)
        case .unknown(let why): ("unknown", why, nil)
        case .later(_, let why, _): ("failed", why, nil)
        }
    }
}
