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

/// A message of the base's is taken: its numbers, which tell when one of us has gone back in time, and what it says of itself.
extension ExchangeNode {
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
            if isNumbered {
                settleUnread(subject, in: transaction)
                try await keep(message, exchange, confirmed: before.confirmed, &taken, in: transaction)
            }
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
            try await sendAgain(
                after: min(then ?? theirs, theirs), upTo: before.confirmed, &taken, in: transaction)
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

    /// A base that was restored may have gone on beyond the numbers of messages that we know before we read anything of it: then nothing in them tells. But it
    /// numbers its documents anew, too: the first new one has the number of the first that is lost.
    ///
    /// - Parameter told: what this message tells, also of orders that are not ours: one of those may have the number now.
    func sendAgainWhatLostItsNumber(
        to told: [EnterpriseMessageReader.Told], confirmed: Int64, _ taken: inout Taken,
        in transaction: EventTransaction
    ) async throws {
        let named = told.compactMap { one in one.number.map { (id: one.id, number: $0) } }
        guard !named.isEmpty else { return }
        let lost = try await transaction.query(
            """
            UPDATE told_object l SET number = NULL
            FROM unnest($2::uuid[], $4::text[]) AS n (id, number), registered_order r
            WHERE l.base = $1 AND l.number = n.number AND NOT l.object_id = ANY($2::uuid[])
                AND r.base = $1 AND r.order_id = l.object_id AND r.sent_no <= $3
                AND NOT EXISTS (SELECT 1 FROM told_link t WHERE t.base = $1 AND t.object_id = l.object_id AND t.is_gone)
            RETURNING r.sent_no
            """, [.text(base), .ids(named.map(\.id)), .int(confirmed), .texts(named.map(\.number))]
        ).map { try $0.int("sent_no") }
        guard let first = lost.min() else { return }
        try await sendAgain(after: first - 1, upTo: confirmed, &taken, in: transaction)
        // An order that it had taken before that one may have its number free still.
        taken.troubles.append(Self.lossUnseen)
    }

    /// Orders that the base had taken and has lost with its restore go out once more, under their old ids.
    private func sendAgain(
        after number: Int64, upTo confirmed: Int64, _ taken: inout Taken, in transaction: EventTransaction
    ) async throws {
        let lost = try await transaction.query(
            """
            UPDATE registered_order r SET sent_no = NULL, registered_at = now()
            WHERE r.base = $1 AND r.sent_no > $2 AND r.sent_no <= $3 RETURNING r.number
            """, [.text(base), .int(number), .int(confirmed)]
        ).map { try $0.string("number") }
        guard !lost.isEmpty else { return taken.troubles.append(Self.lossUnseen) }
        taken.words.append(
            "потерянные заказы отправляются снова (\(lost.count)): \(lost.prefix(100).joined(separator: ", "))")
        taken.troubles.append(
            "база 1С восстановлена из копии: что она потеряла из наших заказов, отправляется снова; сверьте документы, которых в ней больше нет"
        )
    }
}
