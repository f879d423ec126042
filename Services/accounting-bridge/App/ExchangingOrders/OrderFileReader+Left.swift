import Contracts
import Postgres
import Primitives

/// Files that were stored and not read: their own request ended before.
extension OrderFileReader {
    /// Seconds after which a file whose reading was cut off is read by itself; its own request has ended by then.
    private static let leftPause = 60.0

    /// Times that such a file is begun: one that ends the process each time would end it for ever.
    private static let leftLimit: Int64 = 3

    /// A file of orders that is stored and was not read: the process died, or the database did not answer, while 1C or a person waited.
    ///
    /// - Parameter carried: reads a file that a person had carried here: what it holds is to be found out first.
    /// - Returns: whether there was one. Whatever becomes of it, the others have their turn.
    func readLeft(
        carried: @Sendable (ReceivedFiles.Place, _ base: String, _ exchange: ID) async throws -> Outcome
    ) async throws -> Bool {
        let rows = try await bus.pool.query(
            """
            UPDATE onec_file f SET begun = begun + 1, touched_at = now() FROM onec_session s
            WHERE s.id = f.session AND (f.session, f.filename) = (
                SELECT session, filename FROM onec_file
                WHERE state = 'unread' AND touched_at < now() - interval '\(Self.leftPause) seconds'
                ORDER BY touched_at LIMIT 1 FOR UPDATE SKIP LOCKED)
            RETURNING f.session, f.filename, f.begun, s.base, s.type, (SELECT p.exchange_id FROM file_piece p
                WHERE p.session = f.session AND p.filename = f.filename ORDER BY p.position DESC LIMIT 1) AS exchange
            """)
        guard let row = rows.first else { return false }
        let place = ReceivedFiles.Place(session: try row.id("session"), filename: try row.string("filename"))
        guard let exchange = try row.optionalID("exchange") else {
            try await files.note(place, "parked", "файл не сохранился")
            return true
        }
        let base = try row.string("base")
        guard try row.int("begun") <= Self.leftLimit else {
            try await park(place, base, exchange, "чтение файла обрывалось \(Self.leftLimit) раза подряд")
            return true
        }
        do {
            let outcome =
                try row.string("type") == HandExchange.session
                ? try await carried(place, base, exchange)
                : try await read(place, base: base, exchange: exchange, isLast: false)
            try await bus.pool.query(
                """
                UPDATE exchange SET understood = understood || $2::jsonb, orders = orders || $3::text[],
                    journeys = journeys || $4::uuid[], result = $5, reason = $6 WHERE id = $1
                """,
                [
                    .id(exchange), .text(try JSON.text(outcome.understood.map(\.withoutNUL))),
                    .texts(outcome.orders.map(\.withoutNUL)), .ids(outcome.journeys),
                    .text(outcome.problem == nil ? "ok" : "parked"), .text(outcome.problem?.withoutNUL),
                ])
        } catch let error as PostgresError {
            // It comes again in a minute.
            guard !error.isTransient else { return true }
            try await park(place, base, exchange, "ошибка на нашей стороне: \(error)")
        }
        return true
    }
}
