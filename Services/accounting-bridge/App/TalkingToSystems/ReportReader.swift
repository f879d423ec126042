import Contracts
import Messaging
import Postgres
import Primitives
import XMLStream

/// Reads what a system tells of orders, round after round. An order with news is asked for often, a quiet one ever more seldom.
struct ReportReader: Sendable {
    let line: SystemLine
    let reports: OrderReports

    private var base: String { line.base.base }

    /// Orders asked for in one round at most.
    static let roundLimit = 50
    /// A quiet order is asked for again after this share of its quiet time, and at the latest after so many seconds.
    static let patience = 0.05
    static let longestPause = 6 * 3600

    func run() async throws {
        try await line.loop("reading reports", .reading, wakenBy: line.reading) { try await round() }
    }

    private func round() async throws -> Double {
        if case .wait(let seconds) = line.mayTalk(.reading) { return seconds }
        guard try await reports.isMarked() else { return 1 }
        let (asked, began) = try await due()
        let heard = try await line.driver.read(asked, line.wire)
        var news: Set<String> = []
        for one in heard {
            if try await keep(one, askedAt: began), let number = one.number { news.insert(number) }
        }
        try await plan(asked, news, began)
        try await line.driver.accept(heard)
        try await ChangeAuthors(pool: line.bus.pool).ask(base, line.driver, line.wire)
        let wasAsked = !asked.isEmpty || line.driver.tellsUnasked
        // What only a question can show is not over when nobody was asked.
        if wasAsked { try await line.tellLimits() }
        try await line.bus.transaction { transaction in
            // When nobody was asked, nobody has answered; but then nothing is unread either.
            if wasAsked { try await line.answered(.reading, [.answers], in: transaction) }
            transaction.write("UPDATE base_state SET last_read = now() WHERE base = $1", [.text(base)])
        }
        let isMore = line.driver.tellsUnasked ? !heard.isEmpty : asked.count >= Self.roundLimit / 2
        return isMore ? 0 : Double(line.base.readSeconds)
    }

    /// - Returns: the orders whose turn it is, and since when that holds, by the database's clock.
    private func due() async throws -> ([AskedOrder], began: Timestamp) {
        let rows = try await line.bus.pool.query(
            """
            WITH due AS (
                SELECT id, ask_at, false AS is_others, false AS was_told FROM order_out WHERE base = $1 AND ask_at <= now()
                UNION ALL
                SELECT b.order_id, b.ask_at, true, b.report_digest IS NOT NULL FROM order_books b JOIN order_out o ON o.id = b.order_id
                WHERE b.base = $1 AND b.ask_at <= now() AND o.state = 'sent'),
            -- Those that have waited longest, and those whose turn has just come: behind a long list what is new would wait for hours.
            chosen AS (
                (SELECT * FROM due ORDER BY ask_at LIMIT \(Self.roundLimit / 2))
                UNION (SELECT * FROM due ORDER BY ask_at DESC LIMIT \(Self.roundLimit / 2)))
            SELECT now() AS began, o.id, o.number, o.onec_id, o.request ->> 'currency' AS currency, c.is_others, c.was_told, o.origin
            FROM chosen c JOIN order_out o ON o.id = c.id ORDER BY c.ask_at
            """, [.text(base)])
        let asked = try rows.map { row in
            AskedOrder(
                id: try row.id("id"), number: try row.string("number"), onecId: try row.optionalString("onec_id"),
                currency: Currency(try row.string("currency")) ?? .rub,
                isOthers: try row.bool("is_others"), wasTold: try row.bool("was_told"),
                isBorn: try row.string("origin") == "onec")
        }
        return (asked, try rows.first?.time("began") ?? .now())
    }

    /// An order that somebody has asked for since the round began is asked for again.
    private func plan(_ asked: [AskedOrder], _ news: Set<String>, _ began: Timestamp) async throws {
        guard !asked.isEmpty else { return }
        for (table, key, some) in [
            ("order_out", "id", asked.filter { !$0.isOthers }), ("order_books", "order_id", asked.filter(\.isOthers)),
        ] where !some.isEmpty {
            let changed = some.filter { news.contains($0.number) }.map(\.id)
            try await line.bus.pool.query(
                """
                UPDATE \(table) SET news_at = CASE WHEN \(key) = ANY($2::uuid[]) THEN now() ELSE news_at END,
                    ask_at = now() + least(interval '\(Self.longestPause) seconds', greatest($3::int * interval '1 second',
                        CASE WHEN \(key) = ANY($2::uuid[]) THEN interval '0' ELSE \(Self.patience) * (now() - news_at) END))
                WHERE base = $5 AND \(key) = ANY($1::uuid[]) AND ask_at <= $4
                """,
                [.ids(some.map(\.id)), .ids(changed), .int(line.base.readSeconds), .time(began), .text(base)])
        }
    }

    /// - Returns: whether it was news.
    private func keep(_ heard: HeardReport, askedAt: Timestamp) async throws -> Bool {
        switch heard.result {
        case nil: return false
        case .failure(let failure):
            try await park(heard, failure.words)
            return false
        case .success(let report):
            do {
                if let reason = report.rejection { return try await reject(report, reason, heard.exchange) }
                let said = try await line.bus.transaction { [reports, base] transaction in
                    let said = try await reports.say(
                        report, base, heard.exchange, askedAt: line.driver.tellsUnasked ? nil : askedAt, in: transaction
                    )
                    if said.isNews {
                        transaction.write(
                            """
                            UPDATE exchange SET understood = understood || to_jsonb($2::text),
                                orders = array_append(orders, $3), journeys = journeys || $4::uuid[] WHERE id = $1
                            """,
                            [
                                .id(heard.exchange), .text(said.words), .text(said.number),
                                .ids([said.journey].compactMap { $0 }),
                            ])
                    }
                    return said
                }
                if said.isNews { for reason in report.refused { try await park(heard, reason) } }
                return said.isNews
            } catch let refusal as XMLRefusal {
                try await park(heard, refusal.reason)
                return false
            } catch let error where (error as? PostgresError)?.isTransient != true && !(error is CancellationError) {
                // One that cannot be kept must not stop the others.
                line.log.error("a report cannot be kept", metadata: ["base": "\(base)", "reason": "\(error)"])
                try await park(heard, "ошибка на нашей стороне: \(error)")
                return false
            }
        }
    }

    /// The system does not take an order that it was given.
    private func reject(_ report: OrderReport, _ reason: String, _ exchange: ID) async throws -> Bool {
        // Before it is said: dying in between the report is read again, and an order that a person lets go again is never taken for one that is there.
        try await line.driver.release(order: report.number)
        return try await line.bus.transaction { [base] transaction in
            let isNews = try await Self.reject(report, reason, base, in: transaction)
            if isNews {
                transaction.write(
                    "UPDATE exchange SET understood = understood || to_jsonb($2::text), orders = array_append(orders, $3) WHERE id = $1",
                    [.id(exchange), .text("заказ \(report.number) не принят: \(reason)"), .text(report.number)])
            }
            return isNews
        }
    }

    /// - Returns: false when it has been refused already.
    /// - Throws: `XMLRefusal` when the order is unknown, or the system has told documents of it.
    static func reject(_ report: OrderReport, _ reason: String, _ base: String, in transaction: EventTransaction)
        async throws
        -> Bool
    {
        // The base before the order, as everywhere.
        try await transaction.query("SELECT 1 AS one FROM base_state WHERE base = $1 FOR UPDATE", [.text(base)])
        let row = try await transaction.query(
            """
            SELECT id, journey_id, last_event, state, told_documents <> '[]' AS has_documents FROM order_out
            WHERE number = $1 AND base = $2 FOR UPDATE
            """, [.text(report.number), .text(base)]
        ).first
        guard let row else {
            throw XMLRefusal(
                reason: "отказ по заказу \(report.number), которого мы не передавали", isIncomplete: false)
        }
        if try row.string("state") == "refused" { return false }
        guard try !row.bool("has_documents") else {
            throw XMLRefusal(
                reason: "отказ по заказу \(report.number), по которому уже есть документы", isIncomplete: false)
        }
        try await OrderQueue.refuse(row, report.number, base, reason, by: "1С \(base)", in: transaction)
        return true
    }

    private func park(_ heard: HeardReport, _ reason: String) async throws {
        try await line.bus.transaction { [base] transaction in
            try await Self.park(
                base, heard.exchange, heard.subject, number: heard.number, reason, in: transaction)
        }
    }

    /// Set aside once: the same trouble with the same thing, told again, adds nothing.
    ///
    /// - Parameter subject: of what was told, as the system calls it.
    static func park(
        _ base: String, _ exchange: ID, _ subject: String, number: String?, _ reason: String,
        in transaction: EventTransaction
    ) async throws {
        let added = try await transaction.query(
            """
            INSERT INTO parked_document (id, base, exchange_id, number, reason, kind, filename)
            SELECT $1, $2, $3, $4, $5, 'report', $6 WHERE NOT EXISTS (
                SELECT 1 FROM parked_document WHERE base = $2 AND filename = $6 AND reason = $5
                    AND number IS NOT DISTINCT FROM $4 AND (settled_at IS NULL OR is_dismissed AND number IS NOT NULL))
            """, [.id(.make()), .text(base), .id(exchange), .text(number), .text(reason), .text(subject)]
        ).affected
        guard added == 1 else { return }
        transaction.write(
            "UPDATE exchange SET result = 'parked', reason = $2 WHERE id = $1", [.id(exchange), .text(reason)])
    }
}
