import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit

/// The books of a company that works without 1C: what was paid and shipped, as a person writes it down. Where a base of 1C keeps
/// the books, nothing is written here: money has one owner.
struct OwnBooks: Sendable {
    let documents: OrderDocuments

    /// Stands where the name of a 1C base stands otherwise; no base may be called so.
    static let name = SuiteSettings.ownBooks
    static let kinds = ["payment", "refund", "shipment", "return"]

    struct Entry: Decodable, Sendable {
        let kind: String
        let amount: Money
        /// `2026-01-31`; today when absent.
        let date: String?
        let number: String?
    }

    /// Writes down what was paid or shipped.
    func record(
        _ orderID: ID, _ entry: Entry, by caller: Caller, in transaction: EventTransaction
    ) async throws -> OrderView {
        guard Self.kinds.contains(entry.kind) else {
            throw Problem.invalid("kind is \(Self.kinds.joined(separator: ", "))")
        }
        let order = try await open(
            orderID, "\(StateWords.document(entry.kind, .ru)) \(HumanText.money(entry.amount))", in: transaction)
        guard entry.amount.currency == order.askedTotal.currency else {
            throw Problem.invalid("the order is in \(order.askedTotal.currency.code)")
        }
        guard entry.amount.minor > 0 else { throw Problem.invalid("the sum is above zero") }
        guard (entry.number?.count ?? 0) <= 50 else { throw Problem.invalid("number has at most 50 characters") }
        let today = LocalTime.day(.now())
        let date = entry.date ?? today
        guard let moment = Timestamp(date), date.count == 10, moment.day == date, date <= today else {
            throw Problem.invalid("date is a day such as 2026-01-31 and not in the future")
        }
        let reported = ReportedDocument(
            kind: entry.kind, onecId: ID.make().description, number: entry.number, date: date, amount: entry.amount,
            posted: true, cancelled: false)
        return try await keep(reported, order, caller, in: transaction)
    }

    /// Takes back what was written down by mistake; it stays to be seen.
    func cancel(
        _ orderID: ID, document: String, by caller: Caller, in transaction: EventTransaction
    ) async throws -> OrderView {
        let order = try await open(orderID, document, in: transaction)
        guard let known = order.documents.first(where: { $0.onecId == document }) else {
            throw Problem.notFound("document")
        }
        guard !known.cancelled else { return order }
        let reported = ReportedDocument(
            kind: known.kind, onecId: known.onecId, number: known.number, date: known.date, amount: known.amount,
            posted: known.posted, cancelled: true)
        return try await keep(reported, order, caller, in: transaction)
    }

    /// The order, locked against a second entry at the same time.
    ///
    /// - Parameter value: what somebody would have written.
    private func open(_ id: ID, _ value: String, in transaction: EventTransaction) async throws -> OrderView {
        try await transaction.query("SELECT 1 AS one FROM sales_order WHERE id = $1 FOR UPDATE", [.id(id)])
        guard let order = try await OrderView.load(id, in: transaction) else { throw Problem.notFound("order") }
        guard order.base == Self.name else {
            throw NotOwner(
                data: "document", subject: "№ \(order.number)", value: value,
                reason: "учёт по этому заказу ведёт база 1С \(order.base): оплаты и отгрузки записывают там")
        }
        return order
    }

    private func keep(
        _ document: ReportedDocument, _ order: OrderView, _ caller: Caller, in transaction: EventTransaction
    ) async throws -> OrderView {
        let source = OrderDocuments.Source(
            base: Self.name, orderID: order.id, orderNumber: order.number, exchangeID: nil, at: .now(),
            teller: .person(caller.name))
        var cause: ID?
        if let payment = try await documents.keep(document, from: source, in: transaction) {
            cause = try transaction.emit(
                payment, key: order.id.description, correlation: order.journeyId, causation: nil)
        }
        try await transaction.query(
            "UPDATE sales_order SET as_of = now(), last_event = coalesce($2, last_event), version = version + 1 WHERE id = $1",
            [.id(order.id), .id(cause)])
        try await documents.tell(
            order.id, cause: cause, journey: order.journeyId, by: .person(caller.name), in: transaction)
        guard let changed = try await OrderView.load(order.id, in: transaction) else { throw Problem.notFound("order") }
        return changed
    }
}
