import Contracts
import Curl
import FoundationEssentials
import Logging
import Postgres
import Primitives
import ServiceKit

/// Reads one bot's updates by long polling. The next offset is asked for, which confirms the ones before it, only
/// after they are durable.
struct UpdatePoller: Sendable {
    let bot: SuiteSettings.Bot
    let pool: PostgresPool
    let journal: IncomingJournal
    let http: HTTPClient
    let ledger: ConnectorLedger
    let log: Logger

    private var way: ConnectorLedger.Way { .init("telegram", bot.name, "in") }

    private struct Answer: Decodable {
        let ok: Bool
        /// A list of updates for getUpdates, `true` for deleteWebhook.
        let result: RawJSON?
        let description: String?
    }

    /// Runs until cancelled; an error ends it and the caller starts it again with a pause.
    func run() async throws {
        // A webhook still set at Telegram would answer every getUpdates with 409.
        _ = try await call("deleteWebhook", "{}", timeout: 15)
        var backoff = Backoff(first: 0.5, limit: 30)
        var offset = try await pool.query(
            "SELECT next_update FROM poll_offset WHERE bot = $1", [.text(bot.name)]
        ).first?.int("next_update")
        while !Task.isCancelled {
            let start = offset.map { "\"offset\":\($0)," } ?? ""
            let answer: Answer
            do {
                answer = try await call(
                    "getUpdates",
                    "{\(start)\"timeout\":25,\"limit\":100,\"allowed_updates\":\(Self.kinds)}", timeout: 40)
            } catch {
                if !Task.isCancelled { ledger.note(way, trouble: "Telegram не отвечает: \(error)") }
                throw error
            }
            guard answer.ok, case .array(let updates)? = answer.result else {
                ledger.note(way, trouble: "Telegram отказывает: \(answer.description ?? "без объяснения")")
                log.warning(
                    "Telegram refuses updates",
                    metadata: ["bot": "\(bot.name)", "why": "\(answer.description ?? "?")"])
                try await Task.sleep(for: .seconds(backoff.next()))
                continue
            }
            backoff.reset()
            ledger.note(way)
            if let last = try await store(updates) { offset = last + 1 }
        }
    }

    /// All kinds: an absent list would leave out reactions and member changes.
    private static let kinds =
        "[\"message\",\"edited_message\",\"channel_post\",\"edited_channel_post\","
        + "\"callback_query\",\"my_chat_member\",\"chat_member\",\"message_reaction\",\"inline_query\","
        + "\"chosen_inline_result\",\"shipping_query\",\"pre_checkout_query\",\"poll\",\"poll_answer\","
        + "\"chat_join_request\"]"

    private func call(_ method: String, _ body: String, timeout: Double) async throws -> Answer {
        let response = try await http.send(
            .init(
                "POST", "\(bot.upstream)/bot\(bot.token)/\(method)",
                headers: [("Content-Type", "application/json")], body: Array(body.utf8),
                timeoutSeconds: timeout))
        return try JSON.decode(Answer.self, from: response.body)
    }

    /// Stores the batch and remembers the offset behind it; the highest id.
    private func store(_ updates: [RawJSON]) async throws -> Int64? {
        var highest: Int64?
        try await withThrowingTaskGroup(of: Void.self) { group in
            for update in updates {
                let body = Array(update.text.utf8)
                let id = try? JSON.decode(TelegramUpdate.Envelope.self, from: body).updateID
                if let id { highest = max(highest ?? id, id) }
                group.addTask {
                    _ = try await journal.store(
                        .init(
                            connection: bot.name, dedupeKey: id.map { String($0) },
                            reason: id == nil ? "an update without update_id" : nil, body: body))
                }
            }
            try await group.waitForAll()
        }
        if let highest {
            try await pool.query(
                """
                INSERT INTO poll_offset (bot, next_update) VALUES ($1, $2)
                ON CONFLICT (bot) DO UPDATE SET next_update = excluded.next_update
                """, [.text(bot.name), .int(highest + 1)])
        }
        return highest
    }
}
