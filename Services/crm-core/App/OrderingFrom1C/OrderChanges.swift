import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit

/// A cancellation or another content of an order: asked of the bridge, which takes it or says why not.
struct OrderChanges: Sendable {
    let orders: OrderRequest
    let documents: OrderDocuments

    struct Cancellation: Decodable, Sendable { let reason: String? }
    struct Revision: Decodable, Sendable {
        let lines: [OrderRequest.Body.Line]
        let comment: String?
    }

    /// States of an order that may still become another.
    private static let open: Set = ["requested", "sent", "accepted", "failed"]
    /// Characters of a reason.
    private static let reasonLimit = 500

    func cancel(
        _ id: ID, _ wish: Cancellation, by caller: Caller, in transaction: EventTransaction
    ) async throws -> OrderView {
        guard (wish.reason?.count ?? 0) <= Self.reasonLimit else {
            throw Problem.invalid("reason has at most \(Self.reasonLimit) characters")
        }
        return try await ask(id, "cancel", lines: nil, wish.reason, by: caller, in: transaction)
    }

    func revise(
        _ id: ID, _ wish: Revision, by caller: Caller, in transaction: EventTransaction
    ) async throws -> OrderView {
        guard (wish.comment?.count ?? 0) <= 3000 else { throw Problem.invalid("comment has at most 3000 characters") }
        return try await ask(id, "revision", lines: wish.lines, wish.comment, by: caller, in: transaction)
    }

    private func ask(
        _ id: ID, _ kind: String, lines wanted: [OrderRequest.Body.Line]?, _ comment: String?, by caller: Caller,
        in transaction: EventTransaction
    ) async throws -> OrderView {
        let (order, cause) = try await OrderView.lock(id, for: caller, in: transaction)
        guard order.origin == "crm" else {
            throw Problem.conflict("заказ сделан в 1С: измените или отмените его там, сюда придёт само")
        }
        guard Self.open.contains(order.status) else { throw Problem.conflict("the order is \(order.status)") }
        guard !order.changes.contains(where: { $0.state == "asked" }) else {
            throw Problem.conflict("a change of this order waits for an answer")
        }
        let lines = try wanted.map { try orders.lines($0, in: order.askedTotal.currency) }
        let total = lines.map { $0.reduce(Money.zero(order.askedTotal.currency)) { $0 + $1.sum } }
        let change = ID.make()
        try await transaction.query(
            """
            INSERT INTO order_change (id, order_id, kind, state, reason, lines, total_minor, by_whom)
            VALUES ($1, $2, $3, 'asked', $4, $5::jsonb, $6, $7)
            """,
            [
                .id(change), .id(id), .text(kind), .text(comment), .text(try lines.map { try JSON.text($0) }),
                .int(total?.minor), .text(caller.name),
            ])
        if order.base == OwnBooks.name {
            // Without 1C nobody has to be asked.
            try await Self.settle(change, taken: true, nil, in: transaction)
            try await documents.tell(
                id, cause: cause, journey: order.journeyId, by: .person(caller.name),
                in: transaction)
        } else {
            let event = try transaction.emit(
                OrderChangeRequested(
                    changeId: change, orderId: id, number: order.number, base: order.base, kind: kind, lines: lines,
                    total: total, comment: comment, by: caller.name),
                key: id.description, correlation: order.journeyId, causation: cause)
            try await transaction.query(
                "UPDATE sales_order SET last_event = $2 WHERE id = $1", [.id(id), .id(event)])
        }
        guard let changed = try await OrderView.load(id, in: transaction) else { throw Problem.notFound("order") }
        return changed
    }

    /// What the bridge answers.
    static func take(in handlers: inout EventHandlers, _ documents: OrderDocuments) {
        handlers.on(OrderChangeAnswered.self) { answer, event, transaction in
            try await transaction.query(
                "SELECT 1 AS one FROM sales_order WHERE id = $1 FOR UPDATE", [.id(answer.orderId)])
            let asker = try await settle(answer.changeId, taken: answer.taken, answer.reason, in: transaction)
            try await documents.tell(
                answer.orderId, cause: event.id, journey: event.correlation, notBefore: event.at,
                by: (answer.taken ? asker : nil).map { .person($0) } ?? .onec(base: answer.base), in: transaction)
        }
    }

    /// - Returns: who had asked for it; nil when it was settled before.
    @discardableResult
    private static func settle(
        _ id: ID, taken: Bool, _ reason: String?, in transaction: EventTransaction
    ) async throws -> String? {
        let row = try await transaction.query(
            """
            UPDATE order_change SET state = $2, reason = coalesce($3, reason), answered_at = now() WHERE id = $1 AND state = 'asked'
            RETURNING order_id, kind, lines::text AS lines, total_minor, by_whom
            """, [.id(id), .text(taken ? "taken" : "refused"), .text(reason)]
        ).first
        guard let row else { return nil }
        let asker = try row.string("by_whom")
        guard taken else { return asker }
        if try row.string("kind") == "cancel" {
            try await transaction.query(
                "UPDATE sales_order SET status = 'cancelled', failure = NULL, as_of = now(), version = version + 1 WHERE id = $1",
                [.id(try row.id("order_id"))])
        } else {
            try await transaction.query(
                """
                UPDATE sales_order SET lines = $2::jsonb, asked_minor = $3, failure = NULL, as_of = now(), version = version + 1,
                    status = CASE WHEN status = 'failed' THEN 'requested' ELSE status END WHERE id = $1
                """, [.id(try row.id("order_id")), .text(try row.string("lines")), .int(try row.int("total_minor"))])
            // What the client was sent, and has agreed to, was another sum.
            try await transaction.query(
                "DELETE FROM invoice_mark WHERE order_id = $1", [.id(try row.id("order_id"))])
        }
        return asker
    }
}
