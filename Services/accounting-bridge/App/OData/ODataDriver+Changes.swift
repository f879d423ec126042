import Messaging
import Postgres
import Primitives

/// A base with an exchange plan of ours says what has changed in it: the orders concerned are read at once, also those that have long been quiet and
/// are asked for seldom. What was said is confirmed only after we have noted it (reference b.19).
extension ODataDriver {
    func noticeChanges(_ wire: ExchangeWire) async throws {
        let node = base.exchangeNode
        guard !node.isEmpty, isReadable(node) else { return }
        do {
            let (message, asked) = (try await nextMessage(), Timestamp.now())
            let (answer, exchange) = try await client.changes(node, message: message, wire: wire)
            guard case .array(let objects)? = answer["value"] else {
                throw DriverFailure.refused("в ответе на SelectChanges нет списка value")
            }
            known.changesCame()
            guard !objects.isEmpty else { return }
            try await askFor(ODataChanges.keys(answer).union(ordersSettled(among: objects, wire)).sorted())
            _ = try await ClientCards.learn(
                withAuthors(cards(among: objects), wire), base.base, exchange, bus)
            try await GoodCopies(pool: pool, base: base.base).learn(goods(among: objects), asOf: asked)
            try await takeBorn(among: objects, exchange, wire)
            try await client.confirmChanges(node, message: message, wire: wire)
        } catch DriverFailure.away(let why) { throw DriverFailure.away(why) } catch let failure as DriverFailure {
            // Orders are read all the same, only later. One answer that did not come may be chance.
            if case .doubtful = failure, !known.changesFailed() { return }
            passOver(node, failure.words)
        }
    }

    /// A number that was never used: what an earlier message told and nobody confirmed comes again with this one.
    private func nextMessage() async throws -> Int64 {
        try await pool.query(
            """
            INSERT INTO base_state AS b (base, changes_no) VALUES ($1, 1)
            ON CONFLICT (base) DO UPDATE SET changes_no = b.changes_no + 1 RETURNING changes_no
            """, [.text(base.base)]
        )[0].int("changes_no")
    }

    /// The orders that have one of these keys, or a document that has.
    private func askFor(_ keys: [String]) async throws {
        for some in keys.parts(of: Self.keysAtOnce) {
            try await pool.query(
                """
                UPDATE order_out SET ask_at = now() WHERE base = $1 AND ask_at IS NOT NULL AND (
                    id = ANY($2::uuid[]) OR onec_id = ANY($3::text[]) OR id IN (
                        SELECT o.id FROM unnest($3::text[]) AS k (key)
                        JOIN order_out o ON o.told_documents @> jsonb_build_array(jsonb_build_object('onecId', k.key))
                        WHERE o.base = $1))
                """, [.text(base.base), .ids(some.map { ID($0) }), .texts(some)])
            // Orders of other bases whose documents this one keeps.
            try await pool.query(
                """
                UPDATE order_books b SET ask_at = now() FROM order_out o
                WHERE b.base = $1 AND b.ask_at IS NOT NULL AND o.id = b.order_id AND o.id IN (
                    SELECT id FROM order_out WHERE id = ANY($2::uuid[]) OR onec_id = ANY($3::text[])
                    UNION SELECT o.id FROM unnest($3::text[]) AS k (key)
                        JOIN order_out o ON o.told_documents @> jsonb_build_array(jsonb_build_object('onecId', k.key)))
                """, [.text(base.base), .ids(some.map { ID($0) }), .texts(some)])
        }
    }

    private static let keysAtOnce = 500
}
