import Contracts
import Hummingbird
import Messaging
import Postgres
import Primitives
import ServiceKit
import Sodium

/// The catalogue, the figures, and what each is made of.
struct MetricsAPI: Sendable {
    let pool: PostgresPool

    struct OriginItem: AnswerShape {
        let kind, id: String
        let number: String?
        let amount: String
        let at: Timestamp
        let journeyId: ID?
    }
    struct Origin: AnswerShape {
        let sum: String
        let items: [OriginItem]
        let next: String?
    }

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/api/v1/metrics") { _, context in
            try context.requireReader()
            return try Response.json(Page(items: Metric.all, next: nil))
        }
        router.get("/api/v1/metrics/:name") { request, context in
            try context.requireReader()
            let metric = try metric(context)
            return try Response.json(try await values(metric, request))
        }
        router.get("/api/v1/metrics/:name/origin") { request, context in
            try context.require("head", "accountant", "reader", "integrator")
            return try Response.json(try await origin(try metric(context), request))
        }
    }

    private func metric(_ context: ServiceRequestContext) throws -> Metric {
        guard let metric = Metric.named(try context.text("name")) else {
            throw Problem.notFound("metric")
        }
        return metric
    }

    /// `where=channel:shop,currency:RUB`
    private func conditions(_ request: Request, _ metric: Metric) throws -> [(String, String)] {
        try (request.query("where") ?? "").split(separator: ",").map { part in
            let pair = part.split(separator: ":", maxSplits: 1).map(String.init)
            guard pair.count == 2, (metric.dimensions + ["currency"]).contains(pair[0]) else {
                throw Problem.badRequest("where is dimension:value, of \(metric.dimensions + ["currency"])")
            }
            return (pair[0], pair[1])
        }
    }

    /// Figures of one answer at most.
    private static let limit = 5000

    /// A day of `from` or `to`; a month's and an hour's period is within it when the part that both have is.
    private func day(_ name: String, _ request: Request) throws -> String? {
        try request.query(name).map { text in
            let parts = text.split(separator: "-", omittingEmptySubsequences: false)
            guard parts.map(\.count) == [4, 2, 2], parts.allSatisfy({ $0.allSatisfy { ("0"..."9").contains($0) } })
            else {
                throw Problem.badRequest("\(name) is a day, 2026-01-31")
            }
            return text
        }
    }

    private func values(_ metric: Metric, _ request: Request) async throws -> Page<Cell> {
        let by = request.query("by") ?? ""
        guard by.isEmpty || metric.dimensions.contains(by) else {
            throw Problem.badRequest("by is one of \(metric.dimensions)")
        }
        let grain = request.query("grain") ?? "total"
        guard ["total", "hour", "day", "month"].contains(grain) else {
            throw Problem.badRequest("grain is total, hour, day or month")
        }
        let wanted = Dictionary(try conditions(request, metric)) { $1 }
        let (from, to) = (try day("from", request), try day("to", request))
        guard grain != "total" || (from == nil && to == nil) else {
            throw Problem.badRequest("from and to need a grain of hour, day or month: a total is of all time")
        }
        let limit = request.query("limit") == nil ? Self.limit : try request.limit()
        let after = try request.query("after").map { text in
            guard let bytes = fromBase64URL(text), let parts = try? JSON.decode([String].self, from: bytes),
                parts.count == 2
            else { throw Problem.badRequest("after is not a cursor of this list") }
            return parts
        }
        let rows = try await pool.query(
            """
            SELECT \(Cell.columns) FROM cell
            WHERE metric = $1 AND grain = $2 AND by_dimensions = $3 AND dimensions::jsonb @> $4::jsonb
                AND ($5::text IS NULL OR left(period, 10) >= left($5, length(left(period, 10))))
                AND ($6::text IS NULL OR left(period, 10) <= left($6, length(left(period, 10))))
                AND ($7::text IS NULL OR (period, dimensions) > ($7, $8))
            ORDER BY period, dimensions LIMIT $9
            """,
            [
                .text(metric.name), .text(grain), .text(by), .text(try JSON.text(wanted)), .text(from), .text(to),
                .text(after?[0]), .text(after?[1]), .int(limit + 1),
            ])
        let page = rows.prefix(limit)
        let next =
            try rows.count > limit
            ? page.last.map { base64URL(Array(try JSON.encode([$0.string("period"), $0.string("dimensions")]))) } : nil
        return Page(items: try page.map { try Cell($0) }, next: next)
    }

    /// The facts behind a cell; over all pages their sum is the cell's.
    private func origin(_ metric: Metric, _ request: Request) async throws -> Origin {
        let limit = try request.limit()
        let wanted = Dictionary(try conditions(request, metric)) { $1 }
        let period = request.query("period")
        let match: [Parameter] = [
            .text(metric.name), .text(try day("from", request)), .text(try day("to", request)),
            .text(wanted["channel"]), .text(wanted["campaign"]), .text(wanted["manager"]),
            .text(wanted["organization"]), .text(wanted["step"]), .text(wanted["currency"]),
            .text(period),
        ]
        let condition = """
            metric = $1 AND counted AND ($2::text IS NULL OR day::text >= $2)
                AND ($3::text IS NULL OR day::text <= $3) AND ($4::text IS NULL OR channel = $4)
                AND ($5::text IS NULL OR campaign = $5) AND ($6::text IS NULL OR manager = $6)
                AND ($7::text IS NULL OR organization = $7) AND ($8::text IS NULL OR step = $8)
                AND ($9::text IS NULL OR currency = $9)
                AND ($10::text IS NULL OR $10 = 'all' OR day::text LIKE $10 || '%' OR hour = $10)
            """
        let answers = try await pool.run([
            Statement(
                """
                SELECT coalesce(sum(amount), 0)::text AS sum, count(DISTINCT currency) AS currencies
                FROM fact WHERE \(condition)
                """, match),
            Statement(
                """
                SELECT kind, ref, key, number, amount::text AS amount, at, journey_id FROM fact
                WHERE \(condition) AND ($11::text IS NULL OR key > $11) ORDER BY key LIMIT $12
                """, match + [.text(request.query("after")), .int(limit + 1)]),
        ])
        guard try answers[0][0].int("currencies") <= 1 else {
            throw Problem.badRequest("sums of different currencies are never added: name one in where=currency:…")
        }
        let page = answers[1].prefix(limit)
        return Origin(
            sum: try answers[0][0].string("sum"),
            items: try page.map {
                OriginItem(
                    kind: try $0.string("kind"), id: try $0.string("ref"),
                    number: try $0.optionalString("number"), amount: try $0.string("amount"),
                    at: try $0.time("at"), journeyId: try $0.optionalID("journey_id"))
            },
            next: answers[1].count > limit ? try page.last?.string("key") : nil)
    }
}
