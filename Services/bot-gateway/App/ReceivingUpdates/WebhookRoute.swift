import Contracts
import HTTPTypes
import Hummingbird
import ServiceKit
import Sodium

/// `POST /telegram/{bot}/webhook`: Telegram's webhook.
struct WebhookRoute: Sendable {
    let bots: [String: SuiteSettings.Bot]
    let journal: IncomingJournal
    let ledger: ConnectorLedger

    /// Bytes of one update at most; Telegram's own are under 64 KiB.
    static let bodyLimit = 1024 * 1024

    private static let secret = HTTPField.Name("X-Telegram-Bot-Api-Secret-Token") ?? .authorization

    func add(to router: Router<ServiceRequestContext>) {
        router.post("/telegram/:bot/webhook") { request, context in
            let name = try context.text("bot")
            guard let bot = bots[name], bot.receive == .webhook else { throw Problem.notFound("webhook") }
            guard
                isEqualInConstantTime(
                    Array((request.headers[Self.secret] ?? "").utf8), Array((bot.webhookSecret ?? "").utf8))
            else {
                throw Problem(
                    .unauthorized, "wrong-secret",
                    "X-Telegram-Bot-Api-Secret-Token is not the one this webhook was set with")
            }
            let body = try await request.bytes(limit: Self.bodyLimit)
            guard let update = try? JSON.decode(TelegramUpdate.Envelope.self, from: body) else {
                _ = try await journal.store(
                    .init(
                        connection: name, dedupeKey: nil,
                        reason: "no JSON object with update_id: not from Telegram, or cut on the way",
                        body: body))
                ledger.note(.init("telegram", name, "in"), trouble: "пришло не обновление Telegram")
                throw Problem.badRequest("a JSON object with update_id is wanted; the body is kept")
            }
            _ = try await journal.store(
                .init(connection: name, dedupeKey: String(update.updateID), body: body))
            ledger.note(.init("telegram", name, "in"))
            return Response(status: .ok)
        }
    }
}
