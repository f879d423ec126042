import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit

/// What has become of one order between the CRM and 1C, and why there is no invoice: everything the bridge knows, as one answer.
struct OrderStory: AnswerShape {
    struct Line: AnswerShape {
        let at: Timestamp
        /// `ok`, `wrong`, or `waits`.
        let sign: String
        let words: String
        let exchangeId: ID?
    }
    /// Something that was set aside and can be done again.
    struct Repairable: AnswerShape {
        let kind: String
        let ref: ID
        let reason: String
        let at: Timestamp
    }
    let number, base, client: String
    let inn, onecNumber: String?
    /// Opens its document in the system.
    let onecLink: String?
    let journeyId: ID?
    let state: String
    /// One sentence: why there is no invoice, or that there is one.
    let verdict: String
    let isWrong: Bool
    let lines: [Line]
    let repairs: [Repairable]

    /// What decides the sentence; a value, so that it is tested without a database.
    struct Facts: Sendable {
        var state = "ready"
        var reason: String?
        var onecNumber: String?
        var posted: Bool?
        var cancelled = false
        var parked: String?
        var pausedBy: String?
        var failing: String?
        /// The message it lies in, which the base has not confirmed; 0: it has not gone into any yet.
        var unconfirmed: Int64?
        var lastContact: Timestamp?
        var ahead: Int64 = 0
        /// We go to it; others come to us.
        var isActive = false
        var base = ""
    }

    static func verdict(_ facts: Facts) -> (words: String, isWrong: Bool) {
        if let reason = facts.parked {
            return (
                "1С прислала ответ по заказу, но его не удалось понять: \(reason). Ответ сохранён целиком; когда причина "
                    + "устранена, нажмите «Повторить».", true
            )
        }
        switch facts.state {
        case "withdrawn":
            return ("Заказ отменён в CRM до передачи в 1С: \(facts.reason ?? "").", false)
        case "refused":
            return ("Заказ не передан в 1С: \(facts.reason ?? "причина неизвестна").", true)
        case "ready":
            if let who = facts.pausedBy {
                return ("Заказ ждёт: обмен с базой \(facts.base) приостановил \(who).", true)
            }
            if let cause = facts.failing {
                return ("Заказ ждёт: обмен с базой \(facts.base) не работает — \(cause).", true)
            }
            let contact =
                facts.lastContact.map { "последний раз обращалась \(LocalTime.text($0))" }
                ?? "ещё ни разу не обращалась"
            let ahead =
                facts.ahead > 0
                ? ", впереди \(facts.ahead) " + HumanText.plural(Int(facts.ahead), "заказ", "заказа", "заказов") : ""
            if facts.isActive { return ("Заказ ждёт отправки в \(facts.base)\(ahead).", false) }
            return ("Заказ ждёт, пока 1С \(facts.base) его заберёт: она \(contact)\(ahead).", false)
        case "sending": return ("Заказ передаётся в \(facts.base) прямо сейчас.", false)
        case "doubtful":
            return (
                "Заказ передан в \(facts.base), но ответ не пришёл. Проверяем, есть ли он там; вслепую второй раз не отправляем.",
                true
            )
        default: break
        }
        if facts.cancelled { return ("В 1С заказ отменён.", true) }
        guard let number = facts.onecNumber else {
            if let message = facts.unconfirmed {
                return message == 0
                    ? ("Заказ войдёт в следующее сообщение для 1С \(facts.base).", false)
                    : ("Заказ лежит в сообщении № \(message) для 1С \(facts.base), она его ещё не приняла.", false)
            }
            return (
                "1С \(facts.base) забрала заказ, но ещё не прислала его номер. Проверьте, создан ли он в 1С и не остановлен "
                    + "ли обмен.", false
            )
        }
        if facts.posted == false {
            let why = facts.reason.map { ": \($0)" } ?? ""
            return ("В 1С есть заказ \(number), но он не проведён\(why).", true)
        }
        return ("Заказ в 1С: \(number).", false)
    }
}

/// Finds orders by what people say, and tells of each.
struct OrderStories: Sendable {
    let pool: PostgresPool
    var systems: [SystemLine] = []

    struct Found: AnswerShape {
        let number, base, client, state: String
        let onecNumber: String?
        let at: Timestamp
    }

    /// Orders by number, 1C's number, client or INN; the newest first.
    func find(_ text: String, limit: Int = 20) async throws -> [Found] {
        let wanted = text.withoutNUL.trimmed
        guard !wanted.isEmpty else { return [] }
        return try await pool.query(
            """
            SELECT number, base, client, state, onec_number, requested_at FROM order_out
            WHERE number = $1 OR upper(onec_number) = upper($1) OR inn = $1 OR position(lower($1) IN lower(client)) > 0
            ORDER BY (number = $1) DESC, requested_at DESC LIMIT $2
            """, [.text(wanted), .int(limit)]
        ).map {
            Found(
                number: try $0.string("number"), base: try $0.string("base"), client: try $0.string("client"),
                state: try $0.string("state"), onecNumber: try $0.optionalString("onec_number"),
                at: try $0.time("requested_at"))
        }
    }

    func tell(_ number: String) async throws -> OrderStory? {
        let answers = try await pool.run([
            Statement(
                """
                SELECT o.id, o.number, o.base, o.origin, o.client, o.inn, o.journey_id, o.state, o.reason, o.requested_at, o.sent_at,
                    o.onec_number, o.onec_id, o.told_posted, o.told_cancelled, b.paused_by, b.last_contact,
                    j.lead_number, j.lead_at, j.deal_number, j.deal_at, f.cause AS failing, f.since AS failing_since,
                    (SELECT coalesce(r.sent_no, 0) FROM registered_order r JOIN exchange_node n USING (base) WHERE r.base = o.base
                        AND r.order_id = o.id AND (r.sent_no IS NULL OR r.sent_no > n.confirmed_no)) AS unconfirmed,
                    (SELECT count(*) FROM order_out w WHERE w.base = o.base AND w.\(OrderQueue.waits)
                        AND (w.requested_at, w.number) < (o.requested_at, o.number)) AS ahead
                FROM order_out o LEFT JOIN base_state b ON b.base = o.base LEFT JOIN journey_start j ON j.journey_id = o.journey_id
                -- One outage is said once, by the side that met it first: it may have been the reading.
                LEFT JOIN LATERAL (SELECT cause, since FROM base_alarm a WHERE a.base = o.base AND (a.kind = ANY($2::text[])
                    OR a.kind = $3 AND b.failures > 0) ORDER BY since LIMIT 1) AS f ON true
                WHERE o.number = $1
                """,
                [
                    .text(number.withoutNUL), .texts(BaseAlarm.stopping.map(\.rawValue)),
                    .text(BaseAlarm.reading.rawValue),
                ]),
            Statement(
                """
                SELECT id, kind, reason, at, settled_by, settled_at, exchange_id FROM parked_document
                -- Of an order that was made in 1C what is not understood stands under 1C's own number.
                WHERE number = $1 OR (base, number) IN (SELECT base, onec_number FROM order_out WHERE number = $1 AND origin = 'onec')
                ORDER BY id DESC LIMIT 50
                """, [.text(number.withoutNUL)]),
            Statement(
                """
                SELECT id, at, kind, result, reason, understood::text AS understood FROM exchange
                WHERE orders @> ARRAY[$1::text] ORDER BY id DESC LIMIT 50
                """, [.text(number.withoutNUL)]),
            Statement(
                "SELECT kind, number, day::text AS day, words, is_late, at, exchange_id, \(ChangeAuthors.columns) FROM told_change WHERE order_number = $1 ORDER BY id DESC LIMIT 50",
                [.text(number.withoutNUL)]),
        ])
        guard let order = answers[0].first else { return nil }
        return try story(order, parked: answers[1], exchanges: answers[2], changes: answers[3])
    }

    private func story(_ order: Row, parked: Rows, exchanges: Rows, changes: Rows) throws -> OrderStory {
        let (number, base) = (try order.string("number"), try order.string("base"))
        let open = try parked.filter { try $0.optionalString("settled_by") == nil }
        var facts = OrderStory.Facts()
        facts.state = try order.string("state")
        facts.reason = try order.optionalString("reason")
        facts.onecNumber = try order.optionalString("onec_number")
        facts.posted = try order.optionalBool("told_posted")
        facts.cancelled = try order.bool("told_cancelled")
        facts.parked = try open.first?.string("reason")
        facts.pausedBy = try order.optionalString("paused_by")
        facts.failing = try order.optionalString("failing")
        facts.unconfirmed = try order.optionalInt("unconfirmed")
        facts.lastContact = try order.optionalTime("last_contact")
        facts.ahead = try order.int("ahead")
        facts.base = base
        facts.isActive = systems.contains { $0.base.base == base }
        let verdict = OrderStory.verdict(facts)
        let requested = try order.time("requested_at")
        let isBorn = try order.string("origin") == "onec"
        var lines = [
            OrderStory.Line(
                at: requested, sign: "ok",
                words:
                    "Заказ \(number) \(isBorn ? "сделан в 1С \(base)" : "пришёл из CRM"), клиент \(try order.string("client"))",
                exchangeId: nil)
        ]
        lines += try JourneyStarts.lines(order)
        let isHeldUp = facts.state == "ready" && facts.pausedBy == nil && facts.failing != nil
        if isHeldUp, let cause = facts.failing, let since = try order.optionalTime("failing_since") {
            // Since it failed, or since there is something to give.
            lines.append(
                .init(
                    at: max(since, requested), sign: "wrong", words: "Передать в 1С не удаётся: \(cause)",
                    exchangeId: nil))
        }
        // What was set aside is told once, by what was wrong with it.
        let setAside = Set(try parked.map { try $0.id("exchange_id") })
        lines += try exchanges.filter { !setAside.contains(try $0.id("id")) }.map { try Self.line($0, number) }
        if facts.state == "refused" {
            lines.append(
                .init(at: requested, sign: "wrong", words: "Отложен: \(facts.reason ?? "")", exchangeId: nil))
        }
        for row in parked {
            let settled = try row.optionalString("settled_by")
            lines.append(
                .init(
                    at: try row.time("at"), sign: settled == nil ? "wrong" : "ok",
                    words: "Ответ 1С не понят: \(try row.string("reason"))"
                        + (settled.map { ". Улажено: \($0)" } ?? ""),
                    exchangeId: try row.id("exchange_id")))
        }
        for row in changes {
            let day = try row.optionalString("day").map { " от \(HumanText.day($0))" } ?? ""
            let word = try row.string("kind")
            let kind = OrderReports.kinds[word] ?? word
            let late = try row.bool("is_late") ? "Задним числом: " : ""
            let number = try row.optionalString("number").map { " \($0)" } ?? ""
            let change = try row.string("words")
            lines.append(
                .init(
                    at: try row.time("at"), sign: late.isEmpty ? "ok" : "wrong",
                    words: "\(late)\(kind)\(number)\(day): \(change)\(try ChangeAuthor(row).words)",
                    exchangeId: try row.id("exchange_id")))
        }
        var repairs = try open.map {
            OrderStory.Repairable(
                kind: try $0.string("kind"), ref: try $0.id("id"), reason: try $0.string("reason"),
                at: try $0.time("at"))
        }
        if isHeldUp, facts.isActive {
            repairs.append(.init(kind: "base", ref: try order.id("id"), reason: facts.failing ?? "", at: requested))
        }
        if ["refused", "doubtful"].contains(facts.state) {
            repairs.append(.init(kind: "order", ref: try order.id("id"), reason: facts.reason ?? "", at: requested))
        }
        return OrderStory(
            number: number, base: base, client: try order.string("client"), inn: try order.optionalString("inn"),
            onecNumber: facts.onecNumber,
            onecLink: try order.optionalString("onec_id").flatMap { id in
                systems.first { $0.base.base == base }?.driver.link(toOrder: id)
            }, journeyId: try order.optionalID("journey_id"), state: facts.state,
            verdict: verdict.words, isWrong: verdict.isWrong, lines: lines.sorted { $0.at < $1.at }, repairs: repairs)
    }

    private static func line(_ row: Row, _ number: String) throws -> OrderStory.Line {
        let result = try row.string("result")
        let words =
            switch try row.string("kind") {
            case "sale.query": "Заказ отдан 1С"
            case "sale.success": "1С подтвердила, что забрала заказ"
            case "hand.orders": "Заказ выгружен в файл для 1С"
            case "hand.taken": "Файл с заказом загружен в 1С"
            case "sale.file", "sale.import", "hand.file":
                try JSON.decode([String].self, from: try row.string("understood").utf8)
                    .filter { $0.contains(number) }.joined(separator: "; ")
            case "odata.order": "Заказ передаётся в 1С"
            case "odata.find": "Поиск в 1С"
            case "odata.client": "Контрагент в 1С"
            case "odata.post": "Проведение документа"
            case "enterprise.again": "Отправляется снова по слову человека"
            case "enterprise.message":
                // Of the other orders in the same message this one's story says nothing.
                try JSON.decode([String].self, from: try row.string("understood").utf8).compactMap { said -> String? in
                    guard said.contains(number) else { return nil }
                    if said.hasPrefix("впервые заказы") { return "Заказ записан в сообщение для 1С" }
                    return said.hasPrefix("1С приняла") ? String(said.prefix { $0 != ":" }) : said
                }.joined(separator: "; ")
            case "odata.state", "folder.report":
                try JSON.decode([String].self, from: try row.string("understood").utf8)
                    .filter { $0.contains(number) }.joined(separator: "; ")
            case "folder.order": "Заказ положен в папку обмена"
            case "enterprise.order": "Заказ зарегистрирован к отправке в 1С"
            case "enterprise.find": "Поиск среди зарегистрированных"
            case let kind: kind
            }
        let isWrong = result != "ok"
        return .init(
            at: try row.time("at"), sign: isWrong ? "wrong" : "ok",
            words: (words.isEmpty ? "1С прислала ответ" : words)
                + (try row.optionalString("reason").map { ": \($0)" } ?? ""),
            exchangeId: try row.id("id"))
    }
}
