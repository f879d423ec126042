import HTTPTypes
import Hummingbird
import Messaging
import NIOCore
import Postgres
import Primitives
import ServiceKit

/// Bank statements over HTTP: loading one, what came of it, and a person's decisions.
struct BankRoutes: Sendable {
    let bus: EventBus
    let statements: BankStatements
    let matching: BankMatching
    let journal: ExchangeJournal

    private struct Match: Decodable, Sendable { let orders: [BankMatching.Share] }

    func add(to router: Router<ServiceRequestContext>) {
        router.post("/api/v1/bank-statements") { request, context in
            let caller = try context.require("accountant", "head", "integrator")
            return try Response.json(try await load(request, caller), .created)
        }
        router.get("/api/v1/bank-payments") { request, context in
            let caller = try context.require("accountant", "head", "integrator", "reader", "manager")
            return try Response.json(try await list(request, caller))
        }
        router.get("/api/v1/bank-payments/:id") { _, context in
            let caller = try context.require("accountant", "head", "integrator", "reader", "manager")
            return try await one(context, caller)
        }
        router.post("/api/v1/bank-payments/:id/match") { request, context in
            let caller = try context.require("accountant", "head")
            let (id, body) = (try id(context), try await request.json(Match.self))
            try await bus.transaction { try await matching.match(id, body.orders, by: caller, in: $0) }
            return try await one(context)
        }
        router.delete("/api/v1/bank-payments/:id/match") { _, context in
            let caller = try context.require("accountant", "head")
            let id = try id(context)
            try await bus.transaction { try await matching.unmatch(id, by: caller, in: $0) }
            return try await one(context)
        }
        let claims = PaymentClaims(pool: bus.pool)
        router.post("/api/v1/payment-claims") { request, context in
            let caller = try context.require("accountant", "head", "manager")
            let (claim, photo) = try await claim(request)
            return try Response.json(try await claims.trace(claim, photo: photo, by: caller), .created)
        }
        router.post("/api/v1/payment-claims/:id/trace") { request, context in
            let caller = try context.require("accountant", "head", "manager")
            guard let id = ID(try context.text("id")) else { throw Problem.notFound("claim") }
            let claim = try await request.json(PaymentClaims.Claim.self)
            return try Response.json(try await claims.trace(again: id, claim, by: caller))
        }
        router.get("/api/v1/payment-claims/:id/photo") { _, context in
            try context.require("accountant", "head", "manager")
            return try await photo(try context.text("id"))
        }
        router.get("/api/v1/payment-claims") { request, context in
            try context.require("accountant", "head", "manager", "reader")
            let limit = try request.limit()
            let items = try await claims.list(
                limit: limit + 1, after: request.query("after").flatMap { ID($0) })
            return try Response.json(
                Page(
                    items: Array(items.prefix(limit)),
                    next: items.count > limit ? items[limit - 1].id.description : nil))
        }
    }

    /// A claim as JSON, or as a form with the photo of the payment order.
    private func claim(_ request: Request) async throws -> (PaymentClaims.Claim, ClaimPhoto?) {
        guard request.headers[.contentType]?.lowercased().hasPrefix("multipart/form-data") == true else {
            return (try await request.json(PaymentClaims.Claim.self), nil)
        }
        let body = try await request.bytes(limit: ClaimPhoto.sizeLimit + 64 * 1024)
        return try Self.claim(try Form(request, body: body), statements.settings.company.currency)
    }

    static func claim(_ form: Form, _ fallback: Currency) throws -> (PaymentClaims.Claim, ClaimPhoto?) {
        let currency = try form.filled("currency").map { code in
            guard let currency = Currency(code) else { throw Problem.invalid("currency is an ISO 4217 code") }
            return currency
        }
        let claim = PaymentClaims.Claim(
            amount: try form.money("amount", currency ?? fallback), date: form.filled("date"),
            number: form.filled("number"), payerInn: form.filled("payerInn"), orderNumber: form.filled("orderNumber"),
            comment: form.filled("comment"))
        // A browser sends an empty file where none was chosen.
        let photo = try form.file.flatMap { $0.bytes.isEmpty ? nil : try ClaimPhoto($0.bytes) }
        return (claim, photo)
    }

    func photo(_ id: String) async throws -> Response {
        guard let id = ID(id) else { throw Problem.notFound("photo") }
        let photo = try await PaymentClaims(pool: bus.pool).photo(id)
        let suffix = photo.type.split(separator: "/").last.map(String.init) ?? "jpeg"
        return Response(
            status: .ok,
            headers: [
                .contentType: photo.type, .contentDisposition: "attachment; filename=\"claim-\(id).\(suffix)\"",
                .xContentTypeOptions: "nosniff", .cacheControl: "no-store",
            ], body: .init(byteBuffer: ByteBuffer(bytes: photo.bytes)))
    }

    /// Keeps the file as it came, then reads it.
    func load(_ request: Request, _ caller: Caller) async throws -> BankStatements.Report {
        let body = try await request.bytes(limit: BankStatement.sizeLimit + 64 * 1024)
        let file = try Form.file(request, body: body)
        let exchange = try await journal.open(
            base: nil, session: nil, kind: "bank.statement", method: "POST", target: request.uri.path, body: file.bytes)
        do {
            let report = try await statements.take(file.bytes, filename: file.name, by: caller, exchange: exchange)
            var words = [
                "документов \(report.found): сопоставлено \(report.matched), ждут человека \(report.unmatched)",
                "загрузил: \(caller.name)",
            ]
            words += report.refused.map { "строка \($0.line): \($0.reason)" }
            try await journal.close(
                exchange,
                .init(
                    status: 201, body: "", result: report.refused.isEmpty ? "ok" : "parked",
                    reason: report.refused.isEmpty ? nil : "не поняты документы: \(report.refused.count)",
                    understood: words))
            return report
        } catch let refusal as StatementRefusal {
            let reason = "строка \(refusal.line): \(refusal.reason)"
            try await journal.close(
                exchange, .init(status: 422, body: reason, result: "refused", reason: reason))
            throw Problem.invalid(reason)
        }
    }

    private func id(_ context: ServiceRequestContext) throws -> ID {
        guard let id = ID(try context.text("id")) else { throw Problem.notFound("payment") }
        return id
    }

    private func one(_ context: ServiceRequestContext, _ caller: Caller? = nil) async throws -> Response {
        guard let payment = try await BankPayment.find(try id(context), in: bus.pool),
            payment.isIncome || caller?.seesOutgoing ?? true
        else {
            throw Problem.notFound("payment")
        }
        return try Response.json(payment)
    }

    private func list(_ request: Request, _ caller: Caller) async throws -> Page<BankPayment> {
        let limit = try request.limit()
        if let state = request.query("state"), !["matched", "unmatched", "outgoing", "vanished"].contains(state) {
            throw Problem.badRequest("state is matched, unmatched, outgoing or vanished")
        }
        for name in ["from", "to"] {
            if let day = request.query(name), StatementReader.day(day) != day {
                throw Problem.badRequest("\(name) is a day such as 2026-01-31")
            }
        }
        let items = try await BankPayment.load(
            """
            ($1::text IS NULL OR state = $1) AND ($2::uuid IS NULL OR statement_id = $2)
                AND ($3::text IS NULL OR other_inn = $3)
                AND ($4::text IS NULL OR id IN (
                    SELECT a.payment_id FROM bank_allocation a JOIN order_out o ON o.id = a.order_id WHERE o.number = $4))
                AND ($5::date IS NULL OR date >= $5::date) AND ($6::date IS NULL OR date <= $6::date)
                AND ($7::uuid IS NULL OR id < $7) AND ($9 OR direction = 'in')
            ORDER BY id DESC LIMIT $8
            """,
            [
                .text(request.query("state")), .id(request.query("statement").flatMap { ID($0) }),
                .text(request.query("inn")), .text(request.query("order")), .text(request.query("from")),
                .text(request.query("to")), .id(request.query("after").flatMap { ID($0) }), .int(limit + 1),
                .bool(caller.seesOutgoing),
            ], in: bus.pool)
        return Page(
            items: Array(items.prefix(limit)), next: items.count > limit ? items[limit - 1].id.description : nil)
    }
}

extension Caller {
    /// What we pay, wages among it, and the statements as they came, are not a manager's to see.
    var seesOutgoing: Bool { isAdmin || !roles.isDisjoint(with: ["accountant", "head", "integrator", "reader"]) }
}
