import Contracts
import Messaging
import Postgres
import Primitives

/// What is done again for an order itself: offered once more, given once more, or its base tried once more.
extension Repair {
    func offer(_ id: ID, by: String, in transaction: EventTransaction) async throws -> String {
        let rows = try await transaction.query(
            """
            SELECT number, base, state, journey_id, last_event, request::text AS request FROM order_out
            WHERE id = $1 FOR UPDATE
            """, [.id(id)])
        guard let order = rows.first else { throw Refused(reason: "заказа больше нет") }
        let number = try order.string("number")
        // One in doubt, too, when a person says that it is not there.
        guard try ["refused", "doubtful"].contains(order.string("state")) else {
            throw Refused(reason: "заказ \(number) уже не отклонён")
        }
        let request = try JSON.decode(OrderRequested.self, from: try order.string("request").utf8)
        if let problem = OrderQueue.problem(request) { throw Refused(reason: problem) }
        let base = try order.string("base")
        transaction.afterCommit { systems.first { $0.base.base == base }?.signal.poke() }
        let event = try transaction.emit(
            OrderRetried(orderId: id, number: number, base: try order.string("base"), by: by), key: id.description,
            correlation: try order.optionalID("journey_id"), causation: try order.id("last_event"))
        try await transaction.query(
            """
            UPDATE order_out SET state = 'ready', offered = 0, reason = NULL, last_event = $2, ready_since = now(), looks = 0, setbacks = 0, sent_at = NULL,
                attempts = CASE WHEN state = 'doubtful' OR attempts > 0 THEN 1 ELSE 0 END WHERE id = $1
            """,
            [.id(id), .id(event)])
        return "заказ \(number) снова ждёт 1С"
    }

    /// Whoever has mended it does not wait for the next attempt: the base is met as if for the first time.
    func tryBase(of id: ID, in transaction: EventTransaction) async throws -> String {
        let row = try await transaction.query(
            """
            UPDATE base_state SET failures = 0, closed_until = NULL, resumed_at = now()
            WHERE base = (SELECT base FROM order_out WHERE id = $1) AND paused_by IS NULL RETURNING base
            """, [.id(id)]
        ).first
        guard let base = try row?.string("base"), let line = systems.first(where: { $0.base.base == base }) else {
            throw Refused(reason: "эта база выходит на связь сама, или обмен с ней приостановлен")
        }
        transaction.afterCommit {
            line.signal.poke()
            line.reading.poke()
        }
        return "база \(base) проверяется заново: заказ уйдёт, как только она ответит"
    }

    /// What its base has by now is found there and stays as it is; what it has lost is given to it under the same key.
    func giveAgain(_ id: ID, in transaction: EventTransaction) async throws -> String {
        // A base's exchange node comes before its orders, as whoever takes its messages has it.
        try await transaction.query(
            "SELECT 1 AS one FROM exchange_node WHERE base = (SELECT base FROM order_out WHERE id = $1) FOR UPDATE",
            [.id(id)])
        let rows = try await transaction.query(
            "SELECT number, base, state, told_cancelled FROM order_out WHERE id = $1 FOR UPDATE", [.id(id)])
        guard let order = rows.first else { throw Refused(reason: "заказа больше нет") }
        let (number, base) = (try order.string("number"), try order.string("base"))
        guard try order.string("state") == "sent" else {
            throw Refused(reason: "заказ \(number) и так ещё на пути в 1С")
        }
        if try order.bool("told_cancelled") { throw Refused(reason: "заказ \(number) отменён") }
        let line = systems.first { $0.base.base == base }
        transaction.afterCommit { line?.signal.poke() }
        switch line?.base.driver {
        case .odata:
            try await transaction.query(
                """
                UPDATE order_out SET state = 'doubtful', reason = 'проверяем, есть ли ещё заказ в 1С', attempts = 1, looks = 0, setbacks = 0,
                    looked_up_at = NULL, doubtful_since = '-infinity', ready_since = now() WHERE id = $1
                """, [.id(id)])
            return "заказ \(number) будет найден в 1С или передан ей снова"
        case .enterprisedata:
            let registered = try await transaction.query(
                "UPDATE registered_order SET sent_no = NULL, registered_at = now() WHERE base = $1 AND number = $2",
                [.text(base), .text(number)]
            ).affected
            guard registered == 1 else { throw Refused(reason: "заказ \(number) передавался не через план обмена") }
            return "заказ \(number) уйдёт со следующим сообщением, под прежним идентификатором"
        case .folder:
            throw Refused(reason: "файл заказа \(number) лежит в taken: верните его в orders")
        case .commerceml, nil:
            guard passive.contains(base) else { throw Refused(reason: "базы \(base) больше нет в настройках") }
            try await transaction.query(
                "UPDATE order_out SET state = 'ready', offered = 0, reason = NULL, ready_since = now() WHERE id = $1",
                [.id(id)])
            return
                "1С получит заказ \(number) снова и узнает его по номеру; то, что бухгалтер изменил в нём сам, 1С может заменить нашим"
        }
    }
}
