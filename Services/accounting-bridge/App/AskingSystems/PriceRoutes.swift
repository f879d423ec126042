import Contracts
import Hummingbird
import Postgres
import Primitives
import ServiceKit

/// What goods cost a client, asked of the base that keeps the organization's books (ONEC-20).
struct PriceRoutes: Sendable {
    let desk: InquiryDesk
    let settings: SuiteSettings

    struct Question: Decodable, Sendable {
        struct Client: Decodable, Sendable {
            /// The client's id in the CRM.
            let id: ID?
            let name, inn, kpp: String?
        }
        struct Line: Decodable, Sendable {
            let sku: String
            let quantity: Quantity
        }
        let organization, contractId: String?
        let client: Client?
        let currency: Currency?
        let lines: [Line]
    }
    struct Quote: AnswerShape {
        let base: String
        let currency: Currency
        let lines: [QuotedPrices.Line]
        let total: Money?
        let totalUnknown: String?
        let nextDiscount: QuotedPrices.NextDiscount?
        let asOf: Timestamp
        let exchangeId: ID
    }

    func add(to router: Router<ServiceRequestContext>) {
        router.post("/api/v1/prices") { request, context in
            try context.require("manager", "head", "accountant", "integrator")
            return try Response.json(try await quote(try await request.json(Question.self)))
        }
    }

    private func quote(_ question: Question) async throws -> Quote {
        try Self.check(question)
        let base = try base(question.organization)
        let currency = question.currency ?? settings.company.currency
        let asked = question.lines.map { (sku: $0.sku, quantity: $0.quantity) }
        let inquiry = Inquiry(kind: .prices, body: try await body(question, base, currency))
        let (quoted, exchange) = try await desk.ask(base.base, inquiry) { answer in
            let prices = try QuotedPrices(answer, for: asked, in: currency)
            let named = prices.lines.filter { $0.price != nil }.count
            return (
                prices,
                [
                    "цены: \(named) из \(asked.count)"
                        + (prices.total.map { ", всего \($0.amount) \(currency.code)" } ?? "")
                ]
            )
        }
        return Quote(
            base: base.base, currency: currency, lines: quoted.lines, total: quoted.total,
            totalUnknown: quoted.total == nil ? "не на все товары есть цена" : nil, nextDiscount: quoted.nextDiscount,
            asOf: .now(), exchangeId: exchange)
    }

    private static func check(_ question: Question) throws {
        guard (1...QuotedPrices.lineLimit).contains(question.lines.count) else {
            throw Problem.invalid("a question has 1 to \(QuotedPrices.lineLimit) lines")
        }
        for (index, line) in question.lines.enumerated() {
            guard (1...100).contains(line.sku.count), line.quantity > Quantity(tenThousandths: 0) else {
                throw Problem.invalid("line \(index + 1): sku has 1 to 100 characters, quantity is above zero")
            }
        }
        for text in [question.contractId, question.client?.name, question.client?.inn, question.client?.kpp]
        where (text?.count ?? 0) > 250 {
            throw Problem.invalid("contractId, name, inn and kpp have at most 250 characters")
        }
    }

    private func base(_ code: String?) throws -> SuiteSettings.Base {
        guard let code = code ?? settings.organizations.first?.code, let organization = settings.organization(code)
        else {
            throw Problem.invalid("there is no organization «\(code ?? "")»")
        }
        guard let base = settings.base(of: organization) else {
            throw Problem.conflict("no 1C base keeps the books of «\(organization.name)»")
        }
        return base
    }

    /// A question as the base reads it: the client under the base's own id once his card is known, goods under theirs.
    private func body(_ question: Question, _ base: SuiteSettings.Base, _ currency: Currency) async throws -> RawJSON {
        let client = question.client
        let card = try await desk.pool.query(
            "SELECT onec_id FROM counterparty_link WHERE base = $1 AND client_id = $2",
            [.text(base.base), .id(client?.id)]
        ).first?.string("onec_id")
        let goods = try await OrderQueue.goods(question.lines.map(\.sku), base: base.base, in: desk.pool)
        func texts(_ pairs: [(String, String?)]) -> [String: RawJSON] {
            pairs.reduce(into: [:]) { fields, pair in fields[pair.0] = pair.1?.withoutNUL.nonEmpty.map { .string($0) } }
        }
        let organization =
            settings.organizations.first { $0.code == question.organization } ?? settings.organizations[0]
        return .object([
            "organization": .object(
                texts([("code", organization.code), ("inn", organization.inn), ("kpp", organization.kpp)])),
            "client": .object(
                texts([("id", card), ("name", client?.name), ("inn", client?.inn), ("kpp", client?.kpp)])),
            "contractId": question.contractId.map { .string($0.withoutNUL) } ?? .null,
            "currency": .string(currency.code), "day": .string(LocalTime.day(.now())),
            "lines": .array(
                question.lines.map { line in
                    .object(
                        texts([("sku", line.sku), ("goodId", goods[line.sku]), ("quantity", line.quantity.description)])
                    )
                }),
        ])
    }
}
