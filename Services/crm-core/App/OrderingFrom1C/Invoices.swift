import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit

/// An order's invoice: what people say of it, and each state that it has been in with whose word it was.
struct Invoices: Sendable {
    let documents: OrderDocuments

    struct Word: Decodable, Sendable {
        let state: String
        let note: String?
    }
    static let noteLimit = 500

    /// A manager has sent the invoice, or heard that the client agrees.
    func mark(_ id: ID, _ word: Word, by caller: Caller, in transaction: EventTransaction) async throws -> OrderView {
        guard let mark = InvoiceState.Mark(rawValue: word.state) else {
            throw Problem.invalid("state is \(InvoiceState.Mark.allCases.map(\.rawValue).joined(separator: " or "))")
        }
        let note = word.note?.withoutNUL.trimmed.nonEmpty
        guard (note?.count ?? 0) <= Self.noteLimit else {
            throw Problem.invalid("note has at most \(Self.noteLimit) characters")
        }
        let (order, cause) = try await OrderView.lock(id, for: caller, in: transaction)
        guard order.invoice.isOpen else {
            throw Problem.conflict(
                "счёт сейчас «\(StateWords.invoice(order.invoice.state, .ru))»: отметить можно выставленный и не оплаченный"
            )
        }
        try await transaction.query(
            """
            INSERT INTO invoice_mark (order_id, mark, note, by_whom) VALUES ($1, $2, $3, $4)
            ON CONFLICT (order_id, mark) DO NOTHING
            """, [.id(id), .text(mark.rawValue), .text(note), .text(caller.name)])
        return try await told(id, order, cause, by: caller, note, in: transaction)
    }

    /// It was said by mistake.
    func unmark(_ id: ID, _ name: String, by caller: Caller, in transaction: EventTransaction) async throws -> OrderView
    {
        guard let mark = InvoiceState.Mark(rawValue: name) else { throw Problem.notFound("mark") }
        let (order, cause) = try await OrderView.lock(id, for: caller, in: transaction)
        try await transaction.query(
            "DELETE FROM invoice_mark WHERE order_id = $1 AND mark = $2", [.id(id), .text(mark.rawValue)])
        return try await told(id, order, cause, by: caller, nil, in: transaction)
    }

    private func told(
        _ id: ID, _ order: OrderView, _ cause: ID?, by caller: Caller, _ note: String?, in transaction: EventTransaction
    ) async throws -> OrderView {
        guard let now = try await OrderView.load(id, in: transaction) else { throw Problem.notFound("order") }
        guard now.invoice.state != order.invoice.state else { return now }
        if order.invoice.history.isEmpty { try await Self.keepStep(of: order, by: .before, in: transaction) }
        try await documents.tell(
            id, cause: cause, journey: order.journeyId, by: .person(caller.name), note: note, in: transaction)
        return try await OrderView.load(id, in: transaction) ?? now
    }

    /// Writes down the state that an order's invoice is in now, unless it is the one it was in.
    ///
    /// - Parameter isNew: the order has just been made. Of another without a history nobody can say whose word its state was.
    static func keepStep(
        of order: OrderView, by teller: Teller, note: String? = nil, isNew: Bool = false,
        in transaction: EventTransaction
    ) async throws {
        guard order.invoice.history.last?.state != order.invoice.state else { return }
        let teller = order.invoice.history.isEmpty && !isNew ? .before : teller
        try await transaction.query(
            """
            INSERT INTO invoice_step (order_id, number, state, source, by_whom, note)
            SELECT $1, count(*) + 1, $2, $3, $4, $5 FROM invoice_step WHERE order_id = $1 ON CONFLICT DO NOTHING
            """,
            [
                .id(order.id), .text(order.invoice.state), .text(teller.source), .text(teller.words), .text(note),
            ])
    }

    /// Orders of one round at most.
    private static let roundLimit = 200
    /// Seconds until it is looked once more whether there are any.
    private static let pause = 3600.0

    /// Orders that are older than the history of invoices get its beginning, so that the next word is told apart from it.
    static func beginHistories(_ bus: EventBus) async throws {
        while !Task.isCancelled {
            var count = 0
            if bus.missing == nil {
                count = try await bus.transaction { transaction in
                    let rows = try await transaction.query(
                        """
                        SELECT o.id FROM sales_order o WHERE NOT EXISTS (SELECT 1 FROM invoice_step s WHERE s.order_id = o.id)
                        ORDER BY o.created_at LIMIT \(Self.roundLimit) FOR UPDATE OF o SKIP LOCKED
                        """)
                    for row in rows {
                        guard let order = try await OrderView.load(try row.id("id"), in: transaction) else { continue }
                        try await keepStep(of: order, by: .before, in: transaction)
                    }
                    return rows.count
                }
            }
            guard count < roundLimit else { continue }
            // Those that somebody held just now are looked at again at once.
            let isLeft = try await !bus.pool.query(
                """
                SELECT 1 AS one FROM sales_order o WHERE NOT EXISTS (SELECT 1 FROM invoice_step s WHERE s.order_id = o.id) LIMIT 1
                """
            ).isEmpty
            try await Task.sleep(for: .seconds(bus.missing == nil && !isLeft ? pause : 1))
        }
    }
}
