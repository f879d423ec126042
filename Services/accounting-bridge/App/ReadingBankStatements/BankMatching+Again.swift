import Messaging
import Postgres
import Primitives

extension BankMatching {
    /// Payments of one transaction when they are tried again.
    private static let againLimit = 100

    /// Payments that waited may be for an order that has come, or of which 1C has told a number or a sum since. At the start all that wait
    /// are tried once: what was under way when the process died is among them.
    func watch() async throws {
        try await tryAgain("true", [])
        while !Task.isCancelled {
            if bus.missing == nil {
                let orders = try await bus.pool.query(
                    """
                    UPDATE order_out SET match_again = false WHERE id IN (
                        SELECT id FROM order_out WHERE match_again LIMIT 100 FOR UPDATE SKIP LOCKED)
                    RETURNING CASE WHEN origin = 'crm' THEN number END AS number, inn, nullif(onec_bare, '') AS onec_bare, counterparty_id
                    """)
                if !orders.isEmpty {
                    try await tryAgain(for: orders)
                    continue
                }
            }
            try await Task.sleep(for: .seconds(2))
        }
    }

    private func tryAgain(for orders: Rows) async throws {
        let numbers = try orders.flatMap { row in
            try [row.optionalString("number"), row.optionalString("onec_bare")].compactMap(\.self)
        }
        try await tryAgain(
            """
            (other_inn = ANY($1::text[])
                OR purpose ~ ANY (SELECT '(^|[^0-9])0*' || n || '([^0-9]|$)' FROM unnest($2::text[]) AS n)
                OR coalesce(other_inn, other_account) IN (
                    SELECT payer FROM payer_memory WHERE counterparty_id = ANY($3::text[])))
            """,
            [
                .texts(try orders.compactMap { try $0.optionalString("inn") }), .texts(numbers),
                .texts(try orders.compactMap { try $0.optionalString("counterparty_id") }),
            ])
    }

    /// Every waiting payment of the condition, some in a transaction: nobody waits long for his turn.
    private func tryAgain(_ condition: String, _ parameters: [Parameter]) async throws {
        var after: ID?
        repeat {
            let mark = after
            after = try await bus.transaction { transaction in
                try await Self.takeTurn(in: transaction)
                let payments = try await BankPayment.load(
                    """
                    state = 'unmatched' AND NOT left_to_person AND \(condition)
                        AND ($\(parameters.count + 1)::uuid IS NULL OR id > $\(parameters.count + 1))
                    ORDER BY id LIMIT \(Self.againLimit)
                    """, parameters + [.id(mark)], in: transaction)
                for payment in payments { try await decide(payment, by: nil, in: transaction) }
                return payments.count == Self.againLimit ? payments.last?.id : nil
            }
        } while after != nil
    }
}
