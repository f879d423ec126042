import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit

/// Asks 1C for an order. Everything 1C would refuse, or make a double of, is refused here, in words.
struct OrderRequest: Sendable {
    let settings: SuiteSettings
    let numbers: OrderNumbers
    let live: LivePages

    struct Body: Decodable, Sendable {
        struct Line: Decodable, Sendable {
            let sku, name: String
            let quantity, price: Quantity
            let unit, vat: String?
            let discount: String?
        }
        let kind, organization: String?
        let lines: [Line]
        let currency: Currency
        let contractId, address, comment: String?
        var bookingId: String?
    }
    struct Asked: Codable, Sendable {
        let orderId: ID
        let number, status: String
    }

    static let lineLimit = 1000
    /// Characters of a booking's id at most.
    static let bookingLimit = 64

    func ask(
        _ dealID: ID, _ body: Body, by caller: Caller, in transaction: EventTransaction
    ) async throws -> Asked {
        let kind = body.kind ?? "goods"
        guard StateWords.orderKinds.contains(kind) else {
            throw Problem.invalid("kind is goods, prepayment or signing")
        }
        let lines = try lines(body.lines, in: body.currency)
        let total = lines.reduce(Money.zero(body.currency)) { $0 + $1.sum }
        let booking = body.bookingId?.withoutNUL
        guard (booking?.count ?? 1) <= Self.bookingLimit, booking?.isEmpty != true else {
            throw Problem.invalid("bookingId has 1 to \(Self.bookingLimit) characters")
        }
        guard var deal = try await Deal.find(dealID, in: transaction),
            caller.seesAll || deal.responsibleID == caller.userID
        else { throw Problem.notFound("deal") }
        guard deal.outcome != "lost" else { throw Problem.conflict("the deal is lost") }
        let code = body.organization ?? deal.organization
        guard let organization = settings.organization(code) else {
            throw Problem.invalid("there is no organization «\(code)»")
        }
        if settings.keepsOwnBooks {
            let order = NewOrder(
                kind: kind, organization: code, base: OwnBooks.name, booking: booking, total: total, lines: lines)
            return try await writeDown(order, &deal, by: caller, in: transaction)
        }
        guard let base = settings.base(of: organization) else {
            throw Problem.invalid("no 1C base keeps the books of «\(organization.name)»")
        }
        let counterparty = try await counterparty(deal, in: transaction)
        let number = try await numbers.next(firstNumber: base.firstNumber, in: transaction)
        let id = try await insert(
            NewOrder(
                kind: kind, organization: code, base: base.base, booking: booking, total: total, lines: lines),
            number, "requested", deal, by: caller, in: transaction
        ).id
        try deal.emit(
            OrderRequested(
                orderId: id, number: number, kind: kind, base: base.base, organization: code,
                dealId: dealID, currency: body.currency, total: total, lines: lines,
                counterparty: counterparty, contractId: body.contractId, address: body.address,
                comment: body.comment, bookingId: booking,
                slice: deal.slice, by: caller.name), in: transaction)
        try await transaction.query(
            "UPDATE sales_order SET last_event = $2 WHERE id = $1", [.id(id), .id(deal.lastEvent)])
        if let journey = deal.journeyID { transaction.afterCommit { live.changed(journey) } }
        return Asked(orderId: id, number: number, status: "requested")
    }

    private struct NewOrder {
        let kind, organization, base: String
        let booking: String?
        let total: Money
        let lines: [OrderLine]
    }

    private func insert(
        _ order: NewOrder, _ number: String, _ status: String, _ deal: Deal, by caller: Caller,
        in transaction: EventTransaction
    ) async throws -> OrderView {
        let id = ID.make()
        try await transaction.query(
            """
            INSERT INTO sales_order (id, number, kind, organization, base, deal_id, journey_id, currency,
                asked_minor, lines, status, booking_id)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::jsonb, $11, $12)
            """,
            [
                .id(id), .text(number), .text(order.kind), .text(order.organization), .text(order.base), .id(deal.id),
                .id(deal.journeyID), .text(order.total.currency.code), .int(order.total.minor),
                .text(try JSON.text(order.lines)), .text(status), .text(order.booking),
            ])
        guard let view = try await OrderView.load(id, in: transaction) else { throw Problem.notFound("order") }
        try await Invoices.keepStep(of: view, by: .person(caller.name), isNew: true, in: transaction)
        try await PaymentStates.keep(of: view, in: transaction)
        return view
    }

    /// Without 1C nobody has to be asked: the order stands, and its payments are written down by hand.
    private func writeDown(
        _ order: NewOrder, _ deal: inout Deal, by caller: Caller, in transaction: EventTransaction
    ) async throws -> Asked {
        let number = try await numbers.next(firstNumber: 1, in: transaction)
        let view = try await insert(order, number, "accepted", deal, by: caller, in: transaction)
        let id = view.id
        try deal.emit(view.changed(deal, by: .person(caller.name)), in: transaction)
        try await transaction.query(
            "UPDATE sales_order SET last_event = $2, as_of = created_at, tells_payments = true WHERE id = $1",
            [.id(id), .id(deal.lastEvent)])
        if let journey = deal.journeyID { transaction.afterCommit { live.changed(journey) } }
        return Asked(orderId: id, number: number, status: "accepted")
    }

    /// Lines as 1C takes them, with their sums.
    func lines(_ wanted: [Body.Line], in currency: Currency) throws -> [OrderLine] {
        guard !wanted.isEmpty, wanted.count <= Self.lineLimit else {
            throw Problem.invalid("an order has 1 to \(Self.lineLimit) lines")
        }
        var total: Int64 = 0
        return try wanted.enumerated().map { index, line in
            let place = "line \(index + 1)"
            guard !line.name.isEmpty, line.name.count <= 250, line.sku.count <= 100 else {
                throw Problem.invalid("\(place): name has 1 to 250 characters, sku at most 100")
            }
            guard line.quantity > Quantity(tenThousandths: 0),
                line.price >= Quantity(tenThousandths: 0),
                let sum = line.quantity.times(price: line.price, in: currency)
            else {
                throw Problem.invalid("\(place): quantity is above zero, price not below, the sum fits")
            }
            let discount = try line.discount.map { text in
                guard let money = Money(text, currency), money.minor >= 0, money.minor <= sum.minor
                else { throw Problem.invalid("\(place): discount is a sum of at most the line's") }
                return money
            }
            total += sum.minor - (discount?.minor ?? 0)
            guard total <= Money.limit else {
                throw Problem.invalid("\(place): the order's sum is over what can be kept")
            }
            return OrderLine(
                sku: line.sku, name: line.name, quantity: line.quantity, price: line.price,
                unit: line.unit, vat: line.vat, discount: discount,
                sum: sum - (discount ?? .zero(currency)))
        }
    }

    /// Who a deal's client is to 1C; nil while there is nobody whom 1C would know.
    func client(of deal: ID, in pool: PostgresPool) async throws -> Counterparty? {
        guard let deal = try await Deal.find(deal, in: pool, lock: false) else { return nil }
        do { return try await counterparty(deal, in: pool) } catch is Problem { return nil }
    }

    /// A firm needs INN, and КПП when it is a legal entity: 1C would otherwise make a double by name.
    private func counterparty(_ deal: Deal, in transaction: some StatementRunner) async throws -> Counterparty {
        let contact = try await transaction.query(
            "SELECT id, name, phone, email FROM contact WHERE id = $1", [.id(deal.contactID)]
        ).first
        let (phone, email) = (
            try contact?.optionalString("phone"), try contact?.optionalString("email")
        )
        if let companyID = deal.companyID,
            let company = try await transaction.query(
                "SELECT name, inn, kpp FROM company WHERE id = $1", [.id(companyID)]
            ).first
        {
            guard let inn = try company.optionalString("inn"), let number = TaxNumber(inn) else {
                throw Problem.invalid("the company has no valid INN or BIN: 1C would make a double by name")
            }
            let kpp = try company.optionalString("kpp")
            guard number.kind != .innOfFirm || kpp.map({ isKPP($0) }) == true else {
                throw Problem.invalid("a legal entity needs a КПП: 1C looks it up by INN and КПП")
            }
            return Counterparty(
                id: companyID, name: try company.string("name"), isFirm: true, inn: inn, kpp: kpp,
                phone: phone, email: email)
        }
        guard let contact, let name = try contact.optionalString("name"), !name.isEmpty else {
            throw Problem.invalid("the deal has neither a company nor a contact with a name")
        }
        return Counterparty(
            id: try contact.id("id"), name: name, isFirm: false, inn: nil, kpp: nil, phone: phone,
            email: email)
    }
}
