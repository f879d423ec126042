import Hummingbird
import Postgres
import Primitives
import ServiceKit

/// `GET /api/v1/search?q=`: by number, phone, name, INN or text.
struct Search: Sendable {
    let pool: PostgresPool

    struct Hit: AnswerShape {
        let kind: String
        let id: ID
        let number: String?
        let title: String
        let journeyId: ID?
    }

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/api/v1/search") { request, context in
            let hits = try await find(request.query("q") ?? "", by: try context.requireReader())
            return try Response.json(Page(items: hits, next: nil))
        }
    }

    func find(_ text: String, by caller: Caller) async throws -> [Hit] {
        let query = String(text.prefix(100)).withoutNUL
        guard query.contains(where: { !$0.isWhitespace }) else { return [] }
        let digits = query.filter { $0.isASCII && $0.isNumber }
        let phone = Phone(query)?.e164 ?? (digits.count >= 5 ? "%\(digits)%" : nil)
        let number = digits == query.filter({ !$0.isWhitespace && $0 != "№" }) && !digits.isEmpty ? digits : nil
        let like = "%" + query.map { "%_\\".contains($0) ? "\\\($0)" : String($0) }.joined() + "%"
        let owner = try caller.ownerFilter()
        return try await pool.query(
            """
            SELECT 'lead' AS kind, id, number::text AS number,
                coalesce(name, 'без имени') || coalesce(': ' || text, '') AS title, journey_id, created_at
            FROM lead WHERE (number::text = $1 OR phone LIKE $2 OR name ILIKE $3 OR text ILIKE $3
                OR external_order_number = $1) AND ($4::uuid IS NULL OR responsible_id = $4)
            UNION ALL
            SELECT 'deal', id, number::text, title, journey_id, created_at FROM deal
            WHERE (number::text = $1 OR title ILIKE $3) AND ($4::uuid IS NULL OR responsible_id = $4)
            UNION ALL
            SELECT 'order', o.id, o.number, 'Заказ ' || o.number || coalesce(', в 1С ' || o.onec_number, ''),
                o.journey_id, o.created_at
            FROM sales_order o LEFT JOIN deal d ON d.id = o.deal_id
            WHERE (o.number = $1 OR o.number = $5 OR o.onec_number ILIKE $3)
                AND ($4::uuid IS NULL OR d.responsible_id = $4 OR o.origin = 'onec' AND o.deal_id IS NULL)
            UNION ALL
            SELECT 'contact', id, number::text, coalesce(name, phone, 'без имени'), NULL, created_at
            FROM contact WHERE (phone LIKE $2 OR name ILIKE $3 OR email ILIKE $3) AND merged_into IS NULL
                AND \(ContactView.isSeen("$4"))
            UNION ALL
            SELECT 'company', id, number::text, name || coalesce(', ИНН ' || inn, ''), NULL, created_at
            FROM company WHERE name ILIKE $3 OR inn = $1
            ORDER BY created_at DESC LIMIT 50
            """, [.text(number), .text(phone), .text(like), .id(owner), .text(query.trimmed)]
        ).map {
            Hit(
                kind: try $0.string("kind"), id: try $0.id("id"),
                number: try $0.optionalString("number"), title: try $0.string("title"),
                journeyId: try $0.optionalID("journey_id"))
        }
    }
}
