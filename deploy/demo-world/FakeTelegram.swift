import Contracts
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Synchronization

/// Telegram's server as far as the gateway needs it: a queue of updates per bot, long polling, sends.
final class FakeTelegram: Sendable {
    struct Sent: Sendable {
        let bot: String
        let chat: Int64
        let text: String
        let hasInline, asksContact: Bool
    }
    private struct State {
        var updates: [String: [(id: Int64, body: String)]] = [:]
        var nextUpdate: Int64 = 1
        var nextMessage: Int64 = 1
    }
    private let state = Mutex(State())
    private let port: Int
    private let sentContinuation: AsyncStream<Sent>.Continuation
    let sent: AsyncStream<Sent>

    init(port: Int) {
        self.port = port
        (sent, sentContinuation) = AsyncStream<Sent>.makeStream(bufferingPolicy: .bufferingNewest(10_000))
    }

    /// A client's message or press arrives at a bot.
    func post(_ bot: String, _ kinds: (Int64) -> String) {
        state.withLock { state in
            let id = state.nextUpdate
            state.nextUpdate += 1
            state.updates[bot, default: []].append((id, "{\"update_id\":\(id),\(kinds(id))}"))
        }
    }

    func run() async throws {
        let router = Router()
        router.post("/:bot/:method") { request, context in
            let bot = try context.parameters.require("bot")
            let method = try context.parameters.require("method")
            let body = try await request.body.collect(upTo: 1 << 20)
            let fields = (try? JSON.decode(RawJSON.self, from: body.readableBytesView)) ?? .null
            let text = try await self.answer(String(bot.dropFirst(3)), method, fields)
            return Response(
                status: .ok, headers: [.contentType: "application/json"],
                body: .init(byteBuffer: ByteBuffer(string: text)))
        }
        var log = Logger(label: "telegram")
        log.logLevel = .error
        try await Application(
            router: router, configuration: .init(address: .hostname("127.0.0.1", port: port)), logger: log
        ).run()
    }

    private func answer(_ bot: String, _ method: String, _ fields: RawJSON) async throws -> String {
        switch method {
        case "getUpdates":
            var offset: Int64 = 0
            if case .int(let value)? = fields["offset"] { offset = value }
            for _ in 0..<100 {
                let from = offset
                let ready = state.withLock { state -> [String] in
                    state.updates[bot]?.removeAll { $0.id < from }
                    return (state.updates[bot] ?? []).prefix(100).map(\.body)
                }
                if !ready.isEmpty { return "{\"ok\":true,\"result\":[\(ready.joined(separator: ","))]}" }
                try await Task.sleep(for: .milliseconds(100))
            }
            return "{\"ok\":true,\"result\":[]}"
        case "sendMessage":
            let id = state.withLock { state -> Int64 in
                state.nextMessage += 1
                return state.nextMessage
            }
            var chat: Int64 = 0
            if case .int(let value)? = fields["chat_id"] { chat = value }
            sentContinuation.yield(
                Sent(
                    bot: bot, chat: chat, text: fields.text("text") ?? "",
                    hasInline: fields["reply_markup"]?["inline_keyboard"] != nil,
                    asksContact: fields["reply_markup"]?["keyboard"] != nil))
            return "{\"ok\":true,\"result\":{\"message_id\":\(id + 1_000_000),\"date\":1,\"chat\":{\"id\":\(chat)}}}"
        default: return "{\"ok\":true,\"result\":true}"
        }
    }

    func nextMessageID() -> Int64 {
        state.withLock { state in
            state.nextMessage += 1
            return state.nextMessage
        }
    }
}
