/// Telegram's limits as a value: about 30 messages a second over all chats, about one a second in a chat with
/// small bursts (core.telegram.org/bots/faq#my-bot-is-hitting-limits). Time is handed in, in seconds.
struct SendPace: Sendable {
    private var overall: Double
    private var chats: [String: (tokens: Double, at: Double)] = [:]
    private var last: Double
    private var pausedUntil = 0.0

    static let overallPerSecond = 30.0
    static let chatPerSecond = 1.0
    /// Messages that may follow each other at once in one chat.
    static let chatBurst = 3.0
    private static let chatLimit = 10_000

    init(now: Double) {
        overall = Self.overallPerSecond
        last = now
    }

    /// Takes the right to send to `chat`; nil when it may leave now, else seconds to wait.
    mutating func wait(chat: String, now: Double) -> Double? {
        if now < pausedUntil { return pausedUntil - now }
        overall = min(Self.overallPerSecond, overall + (now - last) * Self.overallPerSecond)
        last = now
        guard overall >= 1 else { return (1 - overall) / Self.overallPerSecond }
        if chats.count > Self.chatLimit { chats = chats.filter { now - $0.value.at < 10 } }
        var bucket = chats[chat] ?? (Self.chatBurst, now)
        bucket.tokens = min(Self.chatBurst, bucket.tokens + (now - bucket.at) * Self.chatPerSecond)
        bucket.at = now
        guard bucket.tokens >= 1 else {
            chats[chat] = bucket
            return (1 - bucket.tokens) / Self.chatPerSecond
        }
        bucket.tokens -= 1
        chats[chat] = bucket
        overall -= 1
        return nil
    }

    /// The server said 429: nothing leaves until then.
    mutating func pause(seconds: Double, now: Double) { pausedUntil = max(pausedUntil, now + seconds) }
}
