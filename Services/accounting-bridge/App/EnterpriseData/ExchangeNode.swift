import Contracts
import Messaging
import Postgres
import Primitives

/// The numbers of the exchange with a base, what is registered for it and what it has told: all that must outlive us (reference c.1, facts 4–6).
struct ExchangeNode: Sendable {
    let bus: EventBus
    let base: String
    let births: OrderBirths

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

    /// Sets a message aside that could not be read.
    func park(_ exchange: ID, _ subject: String, _ reason: String) async throws {
        try await bus.transaction { [base] transaction in
            try await ReportReader.park(base, exchange, Self.unread(subject), number: nil, reason, in: transaction)
        }
    }

    /// The next message that can be read tells all that those before it told: what is not confirmed goes out again (reference c.1, fact 6).
    func settleUnread(_ subject: String, in transaction: EventTransaction) {
        transaction.write(
            """
            UPDATE parked_document SET settled_at = now(), settled_by = '1С прислала заново'
            WHERE base = $1 AND filename = $2 AND settled_at IS NULL
            """, [.text(base), .text(Self.unread(subject))])
    }

    private static func unread(_ subject: String) -> String { "\(subject), не прочитано" }

    /// Whether it is the message that was taken last.
    func isOld(_ digest: [UInt8]) async throws -> Bool {
        try await !bus.pool.query(
            "SELECT 1 AS one FROM exchange_node WHERE base = $1 AND received_digest = $2",
            [.text(base), .bytes(digest)]
        ).isEmpty
    }
}
