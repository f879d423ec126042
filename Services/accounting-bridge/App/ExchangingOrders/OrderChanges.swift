import Contracts
import Messaging
import Postgres
import Primitives

/// Changes of orders that the CRM asks for. As long as the base cannot have an order it is ours: it is taken back, or becomes another one. From then on
/// its document is 1C's (rule 1 of the domain): it is changed there, and what becomes of it comes back by itself.
enum OrderChanges {
    static func take(
        in handlers: inout EventHandlers, wake: @escaping @Sendable (_ base: String) -> Void
    ) {
        handlers.on(OrderChangeRequested.self) { change, event, transaction in
            let reason = try await refusal(of: change, event, in: transaction)
            try transaction.emit(
                OrderChangeAnswered(
                    changeId: change.changeId, orderId: change.orderId, number: change.number, base: change.base,
                    taken: reason == nil, reason: reason, by: "мост 1С"),
                key: change.orderId.description, answering: event)
            transaction.afterCommit { wake(change.base) }
        }
    }

    /// Does it.
    ///
    /// - Returns: why it is not done; nil when it is.
    private static func refusal(
        of change: OrderChangeRequested, _ event: ReceivedEvent, in transaction: EventTransaction
    ) async throws -> String? {
        // Payments that were matched to it are for others again; whoever matches takes that turn before any order.
        if change.kind == "cancel" { try await BankMatching.takeTurn(in: transaction) }
        // Locked first, looked at after: whoever is giving it to 1C at this moment has then said so.
        try await transaction.query(
            "SELECT 1 AS one FROM order_out WHERE id = $1 FOR UPDATE", [.id(change.orderId)])
        let row = try await transaction.query(
            """
            SELECT o.state, o.attempts, o.onec_number, o.request::text AS request,
                -- Given in a session, it may be there though nobody has said so.
                EXISTS (SELECT 1 FROM onec_session s WHERE s.batch @> ARRAY[o.id]) AS was_offered,
                EXISTS (SELECT 1 FROM onec_session s WHERE s.batch @> ARRAY[o.id] AND s.type = $2 AND NOT s.acknowledged) AS is_carried
            FROM order_out o WHERE o.id = $1
            """, [.id(change.orderId), .text(HandExchange.session)]
        ).first
        guard let row else { return "заказ \(change.number) до моста ещё не дошёл" }
        let state = try row.string("state")
        if state == "withdrawn" { return "заказ уже отменён" }
        guard ["ready", "refused"].contains(state), try row.int("attempts") == 0, try !row.bool("was_offered") else {
            let number = try row.optionalString("onec_number").map { " (\($0))" } ?? ""
            return switch state {
            case "sent":
                "заказ уже в 1С \(change.base)\(number): измените или отмените его там, сюда придёт само"
            case "refused":
                "1С \(change.base) уже получала этот заказ и не приняла: проверьте, нет ли его там"
            default:
                try row.bool("is_carried")
                    ? "заказ стоит в файле для 1С \(change.base): загрузите файл или отметьте, что он не понадобился"
                    : "заказ передаётся в 1С \(change.base) прямо сейчас: измените или отмените его там"
            }
        }
        guard change.kind == "revision" else {
            try await transaction.query(
                """
                UPDATE order_out SET state = 'withdrawn', reason = $2, last_event = $3, ask_at = NULL, match_again = false, refused_at = NULL
                WHERE id = $1
                """,
                [
                    .id(change.orderId), .text("отменил: \(change.by ?? "CRM")"), .id(event.id),
                ])
            let matched = try await transaction.query(
                "SELECT DISTINCT payment_id FROM bank_allocation WHERE order_id = $1", [.id(change.orderId)])
            for payment in matched {
                try await BankMatching.release(
                    try payment.id("payment_id"), of: change.orderId, by: change.by ?? "CRM", in: transaction)
            }
            return nil
        }
        guard let lines = change.lines, let total = change.total else { return "в изменении нет строк заказа" }
        let before = try JSON.decode(OrderRequested.self, from: try row.string("request").utf8)
        let revised = before.revised(lines: lines, total: total, comment: change.comment)
        if let problem = OrderQueue.problem(revised) { return problem }
        try await transaction.query(
            """
            UPDATE order_out SET request = $2::jsonb, state = 'ready', reason = NULL, refused_at = NULL, ready_since = now(), last_event = $3,
                match_again = true WHERE id = $1
            """, [.id(change.orderId), .text(try JSON.text(revised)), .id(event.id)])
        return nil
    }
}

extension OrderRequested {
    /// The same order with other lines.
    fileprivate func revised(lines: [OrderLine], total: Money, comment: String?) -> OrderRequested {
        OrderRequested(
            orderId: orderId, number: number, kind: kind, base: base, organization: organization, dealId: dealId,
            currency: currency, total: total, lines: lines, counterparty: counterparty, contractId: contractId,
            address: address, comment: comment ?? self.comment, bookingId: bookingId, slice: slice, by: by)
    }
}
