import Contracts
import Messaging
import Postgres
import Primitives

/// A message of EnterpriseData as it was read.
struct EnterpriseMessage: Sendable {
    let header: EnterpriseHeader
    let told: [EnterpriseMessageReader.Told]
    let cards: [ClientCard]
    let passedOver: Int
    let refused: [String]
    /// It holds no object at all.
    let isEmpty: Bool

    init(_ reader: EnterpriseMessageReader) {
        header = reader.header ?? EnterpriseHeader()
        isEmpty = reader.told.isEmpty && reader.cards.isEmpty && reader.passedOver == 0 && reader.refused.isEmpty
        (told, cards, passedOver, refused) = (reader.told, reader.cards, reader.passedOver, reader.refused)
    }
}

/// The numbers of the exchange with a base, what is registered for it and what it has told: all that must outlive us (reference c.1, facts 4–6).
struct ExchangeNode: Sendable {
    let bus: EventBus
    let base: String

    /// Stands for: the base knows none of our versions.
    static let noVersion = "none"
    /// Orders in one message at most; the others wait for its confirmation.
    static let messageLimit = 1000
    /// Unconfirmed orders up to which each new one makes a message of its own; with more, one a reading.
    static let eagerLimit = 100

    struct State: Sendable {
        var version: String?
        var sends: Set<String> = []
        var takes: Set<String> = []
    }

    func state() async throws -> State {
        let row = try await bus.pool.query(
            "SELECT version, sends, takes FROM exchange_node WHERE base = $1", [.text(base)]
        ).first
        guard let row else { return State() }
        return State(
            version: try row.optionalString("version"), sends: Set(try row.list("sends")),
            takes: Set(try row.list("takes")))
    }

    // MARK: out

    func isRegistered(_ order: ID) async throws -> Bool {
        try await !bus.pool.query(
            "SELECT 1 AS one FROM registered_order WHERE base = $1 AND order_id = $2", [.text(base), .id(order)]
        ).isEmpty
    }

    /// - Returns: whether it was not there yet. One that was goes out once more: a person may have asked for it.
    func register(_ order: OrderRequested, _ objects: String) async throws -> Bool {
        try await bus.pool.query(
            """
            INSERT INTO registered_order AS r (base, order_id, number, currency, objects) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (base, order_id) DO UPDATE SET objects = excluded.objects, sent_no = NULL, registered_at = now()
            RETURNING (xmax = 0) AS is_new
            """,
            [.text(base), .id(order.orderId), .text(order.number), .text(order.currency.code), .text(objects)]
        )[0].bool("is_new")
    }

    private static let pending = "coalesce(r.sent_no, 9223372036854775807) > n.confirmed_no"

    /// Whether a new order is worth a message at once: a message holds all that is unconfirmed.
    func isEager(seconds: Int64) async throws -> Bool {
        try await bus.pool.query(
            """
            SELECT (SELECT count(*) FROM (SELECT 1 FROM registered_order r WHERE r.base = n.base AND \(Self.pending)
                LIMIT \(Self.eagerLimit + 1)) AS t) <= \(Self.eagerLimit)
                OR coalesce(n.written_at, '-infinity') < now() - make_interval(secs => $2::int) AS is_eager
            FROM exchange_node n WHERE base = $1
            """, [.text(base), .int(seconds)]
        ).first?.bool("is_eager") ?? false
    }

    /// A message that is to be written.
    struct Outgoing: Sendable {
        let number, received: Int64
        let version: String
        /// Orders as objects, the oldest first, and the numbers of those that go for the first time.
        let objects, fresh: [String]
    }

    /// The next message; nil when the one that lies there says all that is to be said. Its number is used up, whatever becomes of it: gaps are allowed.
    func next(isLying: Bool) async throws -> Outgoing? {
        try await bus.transaction { [base] transaction in
            let row = try await transaction.query(
                """
                SELECT sent_no, confirmed_no, received_no, told_received_no, written_no, version FROM exchange_node
                WHERE base = $1 FOR UPDATE
                """, [.text(base)]
            ).first
            guard let row, let version = try row.optionalString("version"), version != Self.noVersion else {
                return nil
            }
            let rows = try await transaction.query(
                """
                SELECT r.order_id, r.number, r.objects, r.sent_no IS NULL AS is_fresh
                FROM registered_order r JOIN exchange_node n USING (base)
                WHERE r.base = $1 AND \(Self.pending)
                -- Those that an earlier message has come first: one that is confirmed confirms all up to it.
                ORDER BY coalesce(r.sent_no, 9223372036854775807), r.place LIMIT \(Self.messageLimit)
                """, [.text(base)])
            let fresh = try rows.filter { try $0.bool("is_fresh") }
            let (sent, received) = (try row.int("sent_no"), try row.int("received_no"))
            let isUnwritten = try row.int("written_no") < sent || (!isLying && !rows.isEmpty)
            guard try !fresh.isEmpty || isUnwritten || row.int("told_received_no") < received else { return nil }
            let number = sent + 1
            try await transaction.run([
                Statement(
                    "UPDATE exchange_node SET sent_no = $2, told_received_no = received_no WHERE base = $1",
                    [.text(base), .int(number)]),
                Statement(
                    """
                    UPDATE registered_order SET sent_no = $2
                    WHERE base = $1 AND sent_no IS NULL AND order_id = ANY($3::uuid[])
                    """, [.text(base), .int(number), .ids(try fresh.map { try $0.id("order_id") })]),
            ])
            return Outgoing(
                number: number, received: received, version: version,
                objects: try rows.map { try $0.string("objects") }, fresh: try fresh.map { try $0.string("number") })
        }
    }

    /// Lets a message be put in its place, unless a newer one has been begun meanwhile: an older never stands in a newer one's place.
    ///
    /// - Parameter received: what it confirms.
    /// - Returns: whether it was put there.
    func write(_ number: Int64, received: Int64, _ put: @escaping @Sendable () async throws -> Void) async throws
        -> Bool
    {
        try await bus.transaction { [base] transaction in
            let row = try await transaction.query(
                "SELECT sent_no FROM exchange_node WHERE base = $1 FOR UPDATE", [.text(base)]
            ).first
            guard try row?.int("sent_no") == number else { return false }
            try await put()
            transaction.write(
                "UPDATE exchange_node SET written_no = $2, written_at = now(), lying_received_no = $3 WHERE base = $1",
                [.text(base), .int(number), .int(received)])
            return true
        }
    }

    // MARK: in

    /// Our own message as it lies in the folder: when it has a higher number than we remember, our data were restored from a copy.
    func meetOwn(
        _ header: EnterpriseHeader, named subject: String, _ exchange: @escaping @Sendable () async throws -> ID
    ) async throws {
        let row = try await bus.pool.query(
            "SELECT sent_no FROM exchange_node WHERE base = $1", [.text(base)]
        ).first
        guard let row, try header.messageNo > row.int("sent_no") else { return }
        let entry = try await exchange()
        try await bus.transaction { [base] transaction in
            try await transaction.query(
                "UPDATE registered_order SET sent_no = NULL WHERE base = $1 AND sent_no > (SELECT confirmed_no FROM exchange_node WHERE base = $1)",
                [.text(base)])
            try await transaction.query(
                "UPDATE exchange_node SET sent_no = greatest(sent_no, $2), written_no = least(written_no, sent_no) WHERE base = $1",
                [.text(base), .int(header.messageNo)])
            let reason =
                "наши данные восстановлены из копии: в папке лежит наше сообщение № \(header.messageNo), которого мы не помним. Сверьте заказы и оплаты после "
                + "копии; документы, которые 1С прислала после неё, выгрузите из 1С заново"
            try await ReportReader.park(base, entry, subject, number: nil, reason, in: transaction)
        }
    }

    func park(_ exchange: ID, _ subject: String, _ reason: String) async throws {
        try await bus.transaction { [base] transaction in
            try await ReportReader.park(base, exchange, subject, number: nil, reason, in: transaction)
        }
    }

    /// Whether it is the message that was taken last.
    func isOld(_ digest: [UInt8]) async throws -> Bool {
        try await !bus.pool.query(
            "SELECT 1 AS one FROM exchange_node WHERE base = $1 AND received_digest = $2",
            [.text(base), .bytes(digest)]
        ).isEmpty
    }

    /// What came of a message.
    struct Taken: Sendable {
        var words: [String] = []
        /// What a person must know.
        var troubles: [String] = []
        /// The base does not know yet how far its numbers have to go on.
        var mustAnswer = false
        /// Numbers of our orders that the base has confirmed with it.
        var confirmed: [String] = []
        /// Orders of ours that it tells of.
        var affected: [ID] = []
    }

    /// - Parameter subject: what a person knows the message by.
    func take(_ message: EnterpriseMessage, _ digest: [UInt8], named subject: String, _ exchange: ID) async throws
        -> Taken
    {
        try await bus.transaction { [base] transaction in
            let header = message.header
            var taken = Taken()
            let before = try Before(
                try await transaction.query(
                    """
                    INSERT INTO exchange_node AS n (base) VALUES ($1) ON CONFLICT (base) DO UPDATE SET base = n.base
                    RETURNING sent_no, confirmed_no, received_no, received_made, lying_received_no,
                        received_digest = $2 AS is_known
                    """, [.text(base), .bytes(digest)])[0])
            // Somebody else has taken it since it was asked.
            if before.isKnown { return taken }
            let isNumbered = header.messageNo > 0
            // A copy of an old message, which somebody has put there. What came after it is known.
            let isStale = isNumbered && header.messageNo <= before.received && header.created < before.receivedMade
            if isStale {
                taken.words.append("старая копия сообщения № \(header.messageNo): пропущена")
                return taken
            }
            if !isNumbered, header.receivedNo == 0, max(before.confirmed, before.received) > 0 {
                try await beginAnew(&taken, in: transaction)
            } else {
                try await confirm(header, before, &taken, in: transaction)
            }
            if isNumbered { try await keep(message, exchange, &taken, in: transaction) }
            try await note(header, digest, isEmpty: message.isEmpty, mustAnswer: taken.mustAnswer, in: transaction)
            if let code = header.newFrom {
                taken.troubles.append("база меняет код своего узла на «\(code)»: укажите его в настройках (peer)")
            }
            for trouble in taken.troubles {
                try await ReportReader.park(base, exchange, subject, number: nil, trouble, in: transaction)
            }
            return taken
        }
    }

    /// What a base that is as it was at a time has not got goes out once more, under its old ids: for one that was restored from a backup and has read our
    /// last message before it wrote one of its own, so that no number tells of it.
    ///
    /// - Returns: the orders' numbers.
    func sendAgain(since time: Timestamp) async throws -> [String] {
        try await bus.pool.query(
            """
            UPDATE registered_order SET sent_no = NULL, registered_at = now() WHERE base = $1 AND (registered_at >= $2
                OR sent_no > coalesce((SELECT confirmed_no FROM exchange_confirmation WHERE base = $1 AND at < $2
                    ORDER BY message_no DESC LIMIT 1), 0))
            RETURNING number
            """, [.text(base), .time(time)]
        ).map { try $0.string("number") }
    }

    /// The numbers as they were.
    private struct Before {
        let sent, confirmed, received, lyingReceived: Int64
        let receivedMade: String
        let isKnown: Bool

        init(_ row: Row) throws {
            (sent, confirmed) = (try row.int("sent_no"), try row.int("confirmed_no"))
            (received, receivedMade) = (try row.int("received_no"), try row.string("received_made"))
            (lyingReceived, isKnown) = (try row.int("lying_received_no"), try row.optionalBool("is_known") == true)
        }
    }

    /// What the base says of itself, and the number and the time of its message.
    private func note(
        _ header: EnterpriseHeader, _ digest: [UInt8], isEmpty: Bool, mustAnswer: Bool, in transaction: EventTransaction
    )
        async throws
    {
        // A working message names the version that it is in.
        let written = header.format.split(separator: "/").last.map(String.init).flatMap {
            EnterpriseHeader.common([$0])
        }
        let version = header.versions.isEmpty ? nil : EnterpriseHeader.common(header.versions) ?? Self.noVersion
        try await transaction.run([
            Statement(
                """
                UPDATE exchange_node SET received_no = greatest(received_no, $2), received_made = $3, received_digest = $9,
                    -- A message that held nothing waits for no answer: two sides that answer each other's answers never end.
                    told_received_no = CASE WHEN $11 THEN -1 WHEN $10 AND told_received_no = received_no THEN $2 ELSE told_received_no END,
                    version = coalesce($4, version, $5), sends = CASE WHEN $6 THEN $7::text[] ELSE sends END,
                    takes = CASE WHEN $6 THEN $8::text[] ELSE takes END WHERE base = $1
                """,
                [
                    .text(base), .int(header.messageNo), .text(header.created), .text(version), .text(written),
                    .bool(!header.sends.isEmpty || !header.takes.isEmpty), .texts(header.sends.sorted()),
                    .texts(header.takes.sorted()), .bytes(digest), .bool(isEmpty), .bool(mustAnswer),
                ]),
            Statement(
                """
                INSERT INTO exchange_confirmation (base, message_no, confirmed_no) VALUES ($1, $2, $3)
                ON CONFLICT (base, message_no) DO UPDATE SET confirmed_no = excluded.confirmed_no, at = now()
                """, [.text(base), .int(header.messageNo), .int(header.receivedNo)]),
            Statement(
                "DELETE FROM exchange_confirmation WHERE base = $1 AND message_no < $2",
                [.text(base), .int(header.messageNo - Self.confirmationLimit)]),
        ])
    }

    /// Messages of a base that are remembered: a backup that is older than so many is none that we can mend.
    static let confirmationLimit: Int64 = 100_000

    /// The synchronization was set up anew there: its numbers begin again. What it has taken before stays taken: sent once more, it would undo what
    /// people have changed about those orders since.
    private func beginAnew(_ taken: inout Taken, in transaction: EventTransaction) async throws {
        taken.troubles.append(
            "1С настроила обмен заново: нумерация сообщений начата сначала. Принятые раньше заказы повторно не отправляются"
        )
        try await transaction.run([
            Statement(
                """
                UPDATE registered_order r SET sent_no = 0 FROM exchange_node n
                WHERE n.base = r.base AND r.base = $1 AND r.sent_no <= n.confirmed_no
                """, [.text(base)]),
            Statement("DELETE FROM exchange_confirmation WHERE base = $1", [.text(base)]),
            Statement(
                "UPDATE exchange_node SET confirmed_no = 0, received_no = 0, told_received_no = -1 WHERE base = $1",
                [.text(base)]),
        ])
    }

    /// What the base says of our messages: that it has taken them, or that one of us has gone back in time.
    private func confirm(
        _ header: EnterpriseHeader, _ before: Before, _ taken: inout Taken, in transaction: EventTransaction
    ) async throws {
        let theirs = header.receivedNo
        let hasGoneBack = header.messageNo > 0 && header.messageNo <= before.received
        taken.mustAnswer = hasGoneBack
        if hasGoneBack, header.messageNo > before.lyingReceived {
            // It has read our last message first and gone on from the number that we have confirmed there: what it had before is not to be seen.
            taken.troubles.append(Self.lossUnseen)
        } else if hasGoneBack || theirs < before.confirmed {
            // Restored, the base has what it had when it wrote the message before this one. It may have read our last message since and confirm that.
            let then = try await transaction.query(
                """
                SELECT confirmed_no FROM exchange_confirmation WHERE base = $1 AND message_no < $2
                ORDER BY message_no DESC LIMIT 1
                """, [.text(base), .int(header.messageNo)]
            ).first?.int("confirmed_no")
            try await sendAgain(after: min(then ?? theirs, theirs), &taken, in: transaction)
        }
        if theirs > before.sent {
            // What we have written under numbers that it knows already it has passed over.
            try await transaction.query(
                "UPDATE registered_order SET sent_no = NULL WHERE base = $1 AND sent_no > $2",
                [.text(base), .int(before.confirmed)])
            taken.troubles.append(
                "наши данные восстановлены из копии: 1С помнит больше наших сообщений, чем мы. Сверьте заказы, отправленные после копии"
            )
        } else if theirs > before.confirmed {
            taken.confirmed = try await transaction.query(
                """
                SELECT number FROM registered_order WHERE base = $1 AND sent_no > $2 AND sent_no <= $3 ORDER BY place LIMIT $4
                """,
                [.text(base), .int(before.confirmed), .int(theirs), .int(Int64(Self.messageLimit))]
            ).map { try $0.string("number") }
            let orders = taken.confirmed.isEmpty ? "" : ": заказы \(taken.confirmed.joined(separator: ", "))"
            taken.words.append("1С приняла наши сообщения до № \(theirs)\(orders)")
        }
        try await transaction.query(
            """
            UPDATE exchange_node SET confirmed_no = $2, sent_no = greatest(sent_no, $2), written_no = greatest(written_no, $2)
            WHERE base = $1
            """, [.text(base), .int(theirs)])
    }

    private static let lossUnseen =
        "база 1С восстановлена из копии, и какие наши заказы она потеряла, по номерам не видно: отправьте их снова (send-again) с временем копии"

    /// Orders that the base had taken and has lost with its restore go out once more, under their old ids.
    private func sendAgain(after number: Int64, _ taken: inout Taken, in transaction: EventTransaction) async throws {
        let lost = try await transaction.query(
            """
            UPDATE registered_order r SET sent_no = NULL, registered_at = now() FROM exchange_node n
            WHERE n.base = r.base AND r.base = $1 AND r.sent_no > $2 AND r.sent_no <= n.confirmed_no RETURNING r.number
            """, [.text(base), .int(number)]
        ).map { try $0.string("number") }
        guard !lost.isEmpty else { return taken.troubles.append(Self.lossUnseen) }
        taken.words.append(
            "потерянные заказы отправляются снова (\(lost.count)): \(lost.prefix(100).joined(separator: ", "))")
        taken.troubles.append(
            "база 1С восстановлена из копии: что она потеряла из наших заказов, отправляется снова; сверьте документы, которых в ней больше нет"
        )
    }

    private func keep(
        _ message: EnterpriseMessage, _ exchange: ID, _ taken: inout Taken, in transaction: EventTransaction
    ) async throws {
        // Of an object that stands in a message twice the last word holds.
        let last = Dictionary(message.told.map { ($0.id, $0) }) { _, newer in newer }
        let named = Set(last.values.flatMap(\.orders))
        let ours = Set(
            try await transaction.query(
                "SELECT id FROM order_out WHERE base = $1 AND id = ANY($2::uuid[])",
                [.text(base), .ids(named.sorted())]
            ).map { try $0.id("id") })
        let kept = last.values.filter { $0.orders.contains(where: ours.contains) }
        let links = kept.flatMap { told in told.orders.filter(ours.contains).map { (object: told.id, order: $0) } }
        let gone = try await transaction.query(
            """
            UPDATE told_link t SET is_gone = true, exchange_id = $2 WHERE t.base = $1 AND t.object_id = ANY($3::uuid[])
                AND NOT t.is_gone AND NOT EXISTS (
                    SELECT 1 FROM unnest($4::uuid[], $5::uuid[]) AS l (object_id, order_id)
                    WHERE l.object_id = t.object_id AND l.order_id = t.order_id)
            RETURNING t.order_id
            """,
            [
                .text(base), .id(exchange), .ids(last.keys.sorted()), .ids(links.map(\.object)),
                .ids(links.map(\.order)),
            ]
        ).map { try $0.id("order_id") }
        try await transaction.run([
            Statement(
                """
                INSERT INTO told_object (base, object_id, kind, body)
                SELECT $1, o.id, o.kind, o.body FROM unnest($2::uuid[], $3::text[], $4::text[]) AS o (id, kind, body)
                ON CONFLICT (base, object_id) DO UPDATE SET kind = excluded.kind, body = excluded.body
                """, [.text(base), .ids(kept.map(\.id)), .texts(kept.map(\.kind)), .texts(kept.map(\.xml))]),
            Statement(
                """
                INSERT INTO told_link (base, object_id, order_id, exchange_id)
                SELECT $1, l.object_id, l.order_id, $2 FROM unnest($3::uuid[], $4::uuid[]) AS l (object_id, order_id)
                ON CONFLICT (base, object_id, order_id) DO UPDATE SET is_gone = false, exchange_id = excluded.exchange_id
                """, [.text(base), .id(exchange), .ids(links.map(\.object)), .ids(links.map(\.order))]),
        ])
        taken.affected = Set(gone + links.map(\.order)).sorted()
        // Whatever becomes of this process, they are told of in the next rounds.
        try await transaction.query(
            "UPDATE order_out SET ask_at = now() WHERE base = $1 AND id = ANY($2::uuid[])",
            [.text(base), .ids(taken.affected)])
        taken.words.append(
            "сообщение № \(message.header.messageNo): объектов о наших заказах \(kept.count), снято связей \(gone.count), "
                + "прочего \(message.passedOver + last.count - kept.count)")
        taken.troubles += message.refused
    }

    /// Cards of clients, some at a time: a first message may hold all that a base has. The same card again changes nothing, so that a death in between
    /// costs nothing either.
    ///
    /// - Returns: of how many there was news.
    func learn(_ cards: [ClientCard], _ exchange: ID) async throws -> Int {
        var (rest, news) = (cards[...], 0)
        while !rest.isEmpty {
            let some = Array(rest.prefix(Self.cardsAtOnce))
            rest = rest.dropFirst(Self.cardsAtOnce)
            news += try await bus.transaction { [base] transaction in
                var news = 0
                for card in some where try await ClientCards.learn(card, base, exchange, in: transaction) { news += 1 }
                return news
            }
        }
        return news
    }

    private static let cardsAtOnce = 200

    /// What the base has told of these orders so far, each as a whole.
    func reports(of orders: [ID]) async throws -> [HeardReport] {
        let answers = try await bus.pool.run([
            Statement(
                """
                SELECT l.order_id, o.number, o.request ->> 'currency' AS currency, l.object_id, l.is_gone, l.exchange_id,
                    '\(EnterpriseKind.payment)' = ANY(n.sends) AS tells_payments
                FROM told_link l JOIN order_out o ON o.id = l.order_id JOIN exchange_node n ON n.base = l.base
                WHERE l.base = $1 AND l.order_id = ANY($2::uuid[]) ORDER BY l.order_id, l.object_id
                """, [.text(base), .ids(orders)]),
            Statement(
                """
                SELECT object_id, kind, body FROM told_object WHERE base = $1 AND object_id IN (
                    SELECT object_id FROM told_link WHERE base = $1 AND order_id = ANY($2::uuid[]))
                """, [.text(base), .ids(orders)]),
        ])
        let bodies = try Dictionary(
            answers[1].map { (try $0.id("object_id"), (kind: try $0.string("kind"), xml: try $0.string("body"))) }
        ) { first, _ in first }
        return try Dictionary(grouping: answers[0]) { try $0.id("order_id") }.values.compactMap { rows in
            guard let first = rows.first else { return nil }
            let state = EnterpriseOrderState(
                order: try first.id("order_id"), number: try first.string("number"),
                currency: Currency(try first.string("currency")) ?? .rub,
                tellsPayments: try first.bool("tells_payments"))
            let objects = try rows.compactMap { row -> EnterpriseOrderState.Object? in
                let id = try row.id("object_id")
                return try bodies[id].map {
                    .init(id: id, kind: $0.kind, xml: $0.xml, isGone: try row.bool("is_gone"))
                }
            }
            let exchange = try rows.map { try $0.id("exchange_id") }.max() ?? .make()
            return HeardReport(
                exchange: exchange, subject: state.number, number: state.number, result: state.report(objects))
        }
    }
}
