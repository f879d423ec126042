import HTTPTypes
import Hummingbird
import Mustache
import Postgres
import Primitives
import ServiceKit

/// Puts a page's content into the frame all pages share.
struct PageRenderer: Sendable {
    let sessions: Sessions
    let settings: SuiteSettings
    let pool: PostgresPool
    private let library: MustacheLibrary

    init(sessions: Sessions, settings: SuiteSettings, pool: PostgresPool) throws {
        self.sessions = sessions
        self.settings = settings
        self.pool = pool
        func template(_ bytes: [UInt8]) throws -> MustacheTemplate {
            try MustacheTemplate(string: String(decoding: bytes, as: UTF8.self))
        }
        library = MustacheLibrary(templates: [
            "layout": try template(PackageResources.layout_mustache),
            "login": try template(PackageResources.login_mustache),
            "leads": try template(PackageResources.leads_mustache),
            "lead": try template(PackageResources.lead_mustache),
            "order": try template(PackageResources.order_mustache),
            "born-order": try template(PackageResources.born_order_mustache),
            "born-orders": try template(PackageResources.born_orders_mustache),
            "deal": try template(PackageResources.deal_mustache),
            "company": try template(PackageResources.company_mustache),
            "search": try template(PackageResources.search_mustache),
            "talk": try template(PackageResources.talk_mustache),
            "connectors": try template(PackageResources.connectors_mustache),
            "flow": try template(PackageResources.flow_mustache),
            "disputes": try template(PackageResources.disputes_mustache),
            "clients": try template(PackageResources.clients_mustache),
            "replays": try template(PackageResources.replays_mustache),
            "receipts": try template(PackageResources.receipts_mustache),
            "replay": try template(PackageResources.replay_mustache),
        ])
    }

    func language(_ request: Request) -> Language {
        let wanted = request.query("lang") ?? request.cookies["lang"]?.value
        return wanted.flatMap { Language(rawValue: $0) } ?? Language(rawValue: settings.company.locale) ?? .ru
    }

    func page(
        _ name: String, title: String, _ fields: [String: Any], _ request: Request, _ caller: Caller?,
        status: HTTPResponse.Status = .ok
    ) async throws -> Response {
        var fields = fields
        let language = language(request)
        fields["t"] = ScreenTexts.all(language)
        fields["csrf"] = caller?.sessionID.map { sessions.csrf($0) } ?? ""
        let content = library.render(filled(fields), withTemplate: name) ?? ""
        return try await frame(content, title: title, request, caller, status: status)
    }

    /// The frame round content that another service made, or ours.
    func frame(
        _ content: String, title: String, _ request: Request, _ caller: Caller?,
        status: HTTPResponse.Status = .ok
    ) async throws -> Response {
        let language = language(request)
        var fields: [String: Any] = [
            "content": content, "title": title, "lang": language.rawValue,
            "otherLang": language.pick("en", "ru"), "t": ScreenTexts.all(language),
        ]
        if let caller, let session = caller.sessionID {
            fields["user"] = caller.name
            fields["hasBases"] = !settings.keepsOwnBooks
            fields["seesFlow"] = caller.isAdmin || !caller.roles.isDisjoint(with: ["head", "integrator"])
            fields["seesDisputes"] = caller.isAdmin || !caller.roles.isDisjoint(with: ["head", "accountant"])
            fields["csrf"] = sessions.csrf(session)
            fields["atWork"] =
                try await pool.query(
                    "SELECT at_work FROM staff WHERE id = $1", [.id(caller.userID)]
                ).first?.bool("at_work") ?? false
        }
        var response = Response.html(library.render(filled(fields), withTemplate: "layout") ?? content, status)
        if request.query("lang") != nil {
            response.headers[.setCookie] = "lang=\(language.rawValue); Path=/; Max-Age=31536000; SameSite=Lax"
        }
        return response
    }
}
