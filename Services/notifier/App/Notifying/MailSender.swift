import Contracts
import Curl
import Logging
import Messaging
import Postgres
import Primitives
import ServiceKit

/// Sends what is due, with growing pauses between attempts; every attempt is in the delivery journal.
struct MailSender: Sendable {
    let bus: EventBus
    let smtp: SuiteSettings.SMTP
    let signal: Signal
    let ledger: ConnectorLedger
    let log: Logger

    /// Letters under way at a time.
    private static let parallel = 4
    /// Attempts before one is given up: with pauses of up to an hour about three and a half days, longer than a weekend.
    private static let attemptLimit: Int64 = 120

    static let way = ConnectorLedger.Way("mail", "smtp", "out")

    private struct Item: Sendable {
        let id: ID
        let mail: Mail
        let attempts: Int64
    }

    func run() async throws {
        // An attempt whose outcome a crash swallowed is made again: losing the news is worse than a repeat, which
        // its Message-ID shows to be one.
        try await bus.pool.query("UPDATE notification SET state = 'ready' WHERE state = 'sending'")
        while !Task.isCancelled {
            guard bus.missing == nil else {
                await signal.wait(seconds: 0.2)
                continue
            }
            let items = try await claim()
            if items.isEmpty {
                await signal.wait(seconds: 1)
                continue
            }
            await withTaskGroup(of: Void.self) { group in
                for item in items { group.addTask { await deliver(item) } }
            }
        }
    }

    private func claim() async throws -> [Item] {
        try await bus.pool.query(
            """
            UPDATE notification SET state = 'sending', attempts = attempts + 1 WHERE id IN (
                SELECT id FROM notification WHERE state = 'ready' AND not_before <= now()
                ORDER BY not_before LIMIT \(Self.parallel) FOR UPDATE SKIP LOCKED)
            RETURNING id, email, subject, body, attempts, created_at
            """
        ).map { row in
            let id = try row.id("id")
            return Item(
                id: id,
                mail: Mail(
                    from: smtp.from, to: try row.string("email"), subject: try row.string("subject"),
                    body: try row.string("body"), id: id, at: try row.time("created_at")),
                attempts: try row.int("attempts"))
        }
    }

    private func deliver(_ item: Item) async {
        let outcome = await SMTPClient(url: smtp.url).send(
            from: item.mail.from, to: item.mail.to, message: item.mail.message)
        switch outcome {
        case .accepted: ledger.note(Self.way)
        case .refused(let why), .later(let why): ledger.note(Self.way, trouble: why)
        }
        // Until it is written: what is forgotten here would be sent again.
        var backoff = Backoff()
        while true {
            do { return try await settle(item, outcome) } catch {
                log.warning(
                    "an outcome could not be written yet",
                    metadata: ["notification": "\(item.id)", "reason": "\(error)"])
                guard (try? await Task.sleep(for: .seconds(backoff.next()))) != nil else { return }
            }
        }
    }

    private func settle(_ item: Item, _ outcome: SMTPClient.Outcome) async throws {
        let (state, word, reason): (String, String, String?) =
            switch outcome {
            case .accepted: ("sent", "accepted", nil)
            case .refused(let why): ("failed", "refused", why)
            case .later(let why):
                item.attempts >= Self.attemptLimit ? ("failed", "given up", why) : ("ready", "later", why)
            }
        var backoff = Backoff(first: 2, limit: 3600)
        var pause = 0.0
        for _ in 0..<item.attempts { pause = backoff.next() }
        let wait = pause
        try await bus.transaction { transaction in
            let row = try await transaction.query(
                """
                UPDATE notification SET state = $2, reason = $3, not_before = now() + make_interval(secs => $4)
                WHERE id = $1 RETURNING template, recipient, correlation, cause
                """, [.id(item.id), .text(state), .text(reason), .double(wait)])[0]
            try await transaction.query(
                "INSERT INTO delivery (id, notification_id, outcome, reason) VALUES ($1, $2, $3, $4)",
                [.id(.make()), .id(item.id), .text(word), .text(reason)])
            guard state != "ready" else { return }
            try transaction.emit(
                NotificationSent(
                    notificationId: item.id, template: try row.string("template"),
                    recipient: try row.string("recipient"), state: state, attempts: Int(item.attempts),
                    reason: reason),
                key: item.id.description, correlation: try row.optionalID("correlation"),
                causation: try row.optionalID("cause"))
        }
    }
}
