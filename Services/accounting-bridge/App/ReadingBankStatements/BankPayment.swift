import Postgres
import Primitives
import ServiceKit

/// A document of a bank's statement as the API shows it, with the orders that it is matched to.
struct BankPayment: AnswerShape {
    struct Party: AnswerShape {
        let name, inn, kpp, account, bank: String?
    }
    struct Allocation: AnswerShape {
        let orderId: ID
        let orderNumber: String
        let amount: Money
        let rule: String
        let by: String?
    }
    let id, exchangeId: ID
    let line: Int64
    let kind, number, date, direction, account: String
    let organization: String?
    let amount: Money
    /// The other side: who paid us, or whom we paid.
    let payer: Party
    let purpose, state: String
    let reason: String?
    let allocations: [Allocation]
    let version: Int64

    static let columns = """
        id, exchange_id, line, kind, number, date::text AS date, direction, account, organization, amount_minor, currency,
        other_name, other_inn, other_kpp, other_account, other_bank, purpose, state, reason, version
        """

    /// Documents in the order of the condition, each with its allocations, in two statements.
    static func load(
        _ condition: String, _ parameters: [Parameter], in runner: some StatementRunner
    ) async throws -> [BankPayment] {
        let rows = try await runner.query("SELECT \(columns) FROM bank_payment WHERE \(condition)", parameters)
        guard !rows.isEmpty else { return [] }
        let shares = try await runner.query(
            """
            SELECT a.payment_id, a.order_id, o.number, a.amount_minor, a.rule, a.by_whom
            FROM bank_allocation a JOIN order_out o ON o.id = a.order_id
            WHERE a.payment_id = ANY($1::text[]::uuid[]) ORDER BY o.number
            """, [.texts(try rows.map { try $0.string("id") })])
        let byPayment = try Dictionary(grouping: shares) { try $0.id("payment_id") }
        return try rows.map { try BankPayment($0, byPayment[try $0.id("id")] ?? []) }
    }

    static func find(_ id: ID, in runner: some StatementRunner) async throws -> BankPayment? {
        try await load("id = $1", [.id(id)], in: runner).first
    }

    private init(_ row: Row, _ shares: [Row]) throws {
        guard let currency = Currency(try row.string("currency")) else {
            throw PostgresError.decoding(column: "currency", wanted: "an ISO 4217 code")
        }
        id = try row.id("id")
        exchangeId = try row.id("exchange_id")
        line = try row.int("line")
        kind = try row.string("kind")
        number = try row.string("number")
        date = try row.string("date")
        direction = try row.string("direction")
        account = try row.string("account")
        organization = try row.optionalString("organization")
        amount = Money(minor: try row.int("amount_minor"), currency: currency)
        payer = Party(
            name: try row.optionalString("other_name"), inn: try row.optionalString("other_inn"),
            kpp: try row.optionalString("other_kpp"), account: try row.optionalString("other_account"),
            bank: try row.optionalString("other_bank"))
        purpose = try row.string("purpose")
        state = try row.string("state")
        reason = try row.optionalString("reason")
        allocations = try shares.map {
            Allocation(
                orderId: try $0.id("order_id"), orderNumber: try $0.string("number"),
                amount: Money(minor: try $0.int("amount_minor"), currency: currency), rule: try $0.string("rule"),
                by: try $0.optionalString("by_whom"))
        }
        version = try row.int("version")
    }

    /// Under which a person's decision on this payer is remembered: his INN, else his account.
    var payerKey: String? { payer.inn ?? payer.account }
    var isIncome: Bool { direction == "in" }
}
