import Hummingbird
import Mustache
import Postgres
import Primitives
import ServiceKit

/// The exchange journal in the browser; the workspace forwards `/journal` here.
struct JournalPages: Sendable {
    let pool: PostgresPool
    let settings: SuiteSettings

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/journal") { request, context in
            try context.require("head", "manager", "accountant", "integrator")
            let rows = try await pool.query(
                """
                SELECT \(JournalAPI.columns) FROM exchange
                WHERE ($1::text IS NULL OR result = $1) AND ($2::uuid IS NULL OR journeys @> ARRAY[$2::uuid])
                ORDER BY id DESC LIMIT 100
                """,
                [.text(request.query("status")), .id(request.query("journeyId").flatMap { ID($0) })])
            let items = try rows.map { Self.fields(try JournalAPI.view($0)) }
            return Response.html(try Self.render(Self.list, ["items": items, "empty": items.isEmpty]))
        }
        router.get("/journal/:id") { _, context in
            try context.require("head", "manager", "accountant", "integrator")
            guard let id = ID(try context.parameters.require("id")),
                let row = try await pool.query(
                    "SELECT \(JournalAPI.columns), request, answer FROM exchange WHERE id = $1", [.id(id)]
                ).first
            else { throw Problem.notFound("exchange") }
            var fields = Self.fields(try JournalAPI.view(row))
            fields["request"] = String(decoding: try row.bytes("request"), as: UTF8.self)
            fields["answer"] = String(decoding: try row.optionalBytes("answer") ?? [], as: UTF8.self)
            return Response.html(try Self.render(Self.one, fields))
        }
    }

    private static func fields(_ view: JournalAPI.ExchangeView) -> [String: Any] {
        [
            "id": view.id.description, "at": LocalTime.text(view.at), "base": view.base ?? "—",
            "kind": names[view.kind] ?? view.kind, "result": results[view.result] ?? view.result,
            "colour": ["ok": "success", "open": "secondary"][view.result] ?? "danger",
            "reason": view.reason ?? "", "understood": view.understood.joined(separator: "; "),
            "target": view.target, "method": view.method, "status": view.status.map { String($0) } ?? "",
            "journeys": view.journeyIds,
        ]
    }

    private static let names = [
        "sale.checkauth": "вход", "sale.init": "начало", "sale.query": "запрос заказов",
        "sale.success": "подтверждение", "sale.file": "файл от 1С", "sale.import": "загрузка файла",
    ]
    private static let results = [
        "ok": "выполнен", "open": "без ответа", "refused": "отказ", "failed": "ошибка", "parked": "отложен",
    ]

    private static func render(_ template: String, _ fields: [String: Any]) throws -> String {
        try MustacheTemplate(string: template).render(fields)
    }

    private static let list = """
        <h1 class="h4 mb-3">Журнал обмена с 1С</h1>
        <div class="mb-3"><a class="btn btn-sm btn-outline-secondary" href="/journal">все</a>
        <a class="btn btn-sm btn-outline-danger" href="/journal?status=parked">отложенные</a>
        <a class="btn btn-sm btn-outline-danger" href="/journal?status=refused">отказы</a></div>
        {{#empty}}<p class="text-muted">Обменов пока не было. Настройте 1С по инструкции «Подключить 1С».</p>{{/empty}}
        <div class="list-group">{{#items}}
        <a class="list-group-item list-group-item-action" href="/journal/{{id}}">
        <span class="badge text-bg-{{colour}}">{{result}}</span> <b>{{kind}}</b> · 1С {{base}}
        <span class="text-muted float-end">{{at}}</span><br><span class="small">{{understood}} {{reason}}</span></a>
        {{/items}}</div>
        """

    private static let one = """
        <h1 class="h4">{{kind}} · 1С {{base}} <span class="badge text-bg-{{colour}}">{{result}}</span></h1>
        <p class="text-muted">{{at}} · {{method}} {{target}} → {{status}}</p>
        <p>{{understood}}</p>{{#reason}}<div class="alert alert-danger">{{reason}}</div>{{/reason}}
        {{#journeys}}<p><a href="/journeys/{{.}}">Сквозной путь</a></p>{{/journeys}}
        <h2 class="h6">Запрос</h2><pre class="border rounded p-2 bg-light" style="max-height:24rem">{{request}}</pre>
        <h2 class="h6">Ответ</h2><pre class="border rounded p-2 bg-light" style="max-height:24rem">{{answer}}</pre>
        """
}
