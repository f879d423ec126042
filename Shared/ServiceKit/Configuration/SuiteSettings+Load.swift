import FoundationEssentials
import Glibc
import Primitives
import Yams

extension SuiteSettings {
    /// Reads and checks a settings file; with no file the defaults and the environment stand.
    ///
    /// - Throws: ``WrongSettings`` with every problem, each with line and column.
    public static func load(file: String?, environment: [String: String]) throws -> SuiteSettings {
        func read(_ path: String) -> String? {
            guard let data = try? Data(contentsOf: URL(filePath: path)) else { return nil }
            let text = String(decoding: data, as: UTF8.self)
            return String(text.reversed().drop { $0.isNewline }.reversed())
        }
        let name = file ?? "the environment"
        var text = ""
        if let file {
            guard let content = read(file) else {
                throw WrongSettings(file: name, problems: ["the file cannot be read"])
            }
            text = content
        }
        return try parse(text, name: name, environment: environment, readFile: read)
    }

    public static func parse(
        _ text: String, name: String, environment: [String: String],
        readFile: @escaping (String) -> String?
    ) throws -> SuiteSettings {
        let root: Node?
        do { root = try Yams.compose(yaml: text) } catch {
            throw WrongSettings(file: name, problems: ["this is no YAML: \(error)"])
        }
        let reader = SettingsReader(environment: environment, readFile: readFile)
        let settings = read(reader, root)
        guard reader.problems.isEmpty else {
            throw WrongSettings(file: name, problems: reader.problems)
        }
        return settings
    }

    private static func read(_ reader: SettingsReader, _ root: Node?) -> SuiteSettings {
        let top = reader.section(
            root, "",
            [
                "company", "organizations", "users", "apiKeys", "bots", "shops", "onec", "smtp", "flows",
                "http", "log", "retention", "publicUrl", "databaseUrl", "databaseUrlFile",
            ])
        var settings = SuiteSettings()
        settings.company = company(reader, top)
        settings.organizations = organizations(reader, top, settings.company)
        settings.users = users(top)
        settings.apiKeys = apiKeys(top)
        settings.flows = [.lead] + top.list("flows", Flow.known) { Flow.read($0) }
        settings.bots = bots(top, Set(settings.flows.map(\.name)))
        settings.shops = shops(top)
        unique(settings.bots.map(\.name) + settings.shops.map(\.name), top, "shops", "name")
        settings.bases = bases(reader, top)
        for organization in settings.organizations {
            let named = Set([organization.base].compactMap { $0 } + organization.books.values)
            for base in named.sorted() where !settings.bases.contains(where: { $0.base == base }) {
                top.complain(
                    "organization \(organization.code) names the base «\(base)», which onec does not list",
                    "organizations")
            }
            if !organization.books.isEmpty, settings.base(of: organization) == nil {
                top.complain("organization \(organization.code) needs a base of its orders: base", "organizations")
            }
        }
        let smtp = reader.section(top.child("smtp"), "smtp", ["url", "urlFile", "from"])
        if let url = smtp.secret("url") {
            if !url.hasPrefix("smtp://") && !url.hasPrefix("smtps://") {
                smtp.complain("wants smtp://user:password@host:port", "url")
            }
            settings.smtp = SMTP(url: url, from: smtp.required("from"))
        }
        settings.databaseURL = top.secret("databaseUrl")
        settings.publicURL = top.string("publicUrl")
        let kept = reader.section(
            top.child("retention"), "retention", ["days", "megabytes", "freeMegabytes", "journalDays"])
        settings.retention.journalDays =
            kept.int("journalDays", 2...36_500).map { Int($0) } ?? settings.retention.journalDays
        settings.retention.days = kept.int("days", 2...3650).map { Int($0) } ?? settings.retention.days
        settings.retention.megabytes =
            kept.int("megabytes", 64...100_000_000).map { Int($0) } ?? settings.retention.megabytes
        settings.retention.freeMegabytes =
            kept.int("freeMegabytes", 1...1_000_000).map { Int($0) } ?? settings.retention.freeMegabytes
        let http = reader.section(top.child("http"), "http", ["host", "proxies"])
        settings.httpHost = http.string("host") ?? "127.0.0.1"
        for part in (http.string("proxies") ?? "").split(separator: ",").map({ String($0).trimmed }) where !part.isEmpty
        {
            guard let range = AddressRange(part) else {
                http.complain("«\(part)» is no address and no range like 172.16.0.0/12", "proxies")
                continue
            }
            settings.proxies.append(range)
        }
        let log = reader.section(top.child("log"), "log", ["level", "format"])
        settings.logLevel = log.choice(
            "level", ["trace", "debug", "info", "notice", "warning", "error", "critical"],
            default: "info")
        settings.logFormat = log.choice("format", ["text", "json"], default: "text")
        return settings
    }

    private static func company(_ reader: SettingsReader, _ top: Section) -> Company {
        let section = reader.section(
            top.child("company"), "company", ["name", "currency", "timeZone", "locale"])
        var company = Company()
        company.name = section.string("name") ?? company.name
        if let text = section.string("currency") {
            if let currency = Currency(text) {
                company.currency = currency
            } else {
                section.complain("«\(text)» is no ISO 4217 code", "currency")
            }
        }
        company.timeZone = timeZone(section) ?? company.timeZone
        company.locale = section.choice("locale", ["ru", "en"], default: "ru")
        return company
    }

    /// `timeZone: Europe/Moscow`, a name of the system's time zone database: of any other the C library makes UTC without a word.
    static func timeZone(_ section: Section) -> String? {
        guard let name = section.string("timeZone") else { return nil }
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        var info = stat()
        let isKnown =
            parts.allSatisfy { $0.first?.isLetter == true } && stat("/usr/share/zoneinfo/\(name)", &info) == 0
            && info.st_mode & S_IFMT == S_IFREG
        if !isKnown {
            section.complain("«\(name)» is no time zone that this machine knows, such as Europe/Moscow", "timeZone")
        }
        return name
    }

    /// `books: { payment: bp, shipment: ut }`: one base for each kind, for a mapping has each name once.
    private static func books(_ reader: SettingsReader, _ organization: Section) -> [String: String] {
        let kinds = Organization.documentKinds
        let section = reader.section(organization.child("books"), organization.join("books"), Set(kinds))
        return kinds.reduce(into: [:]) { books, kind in books[kind] = section.string(kind)?.nonEmpty }
    }

    private static func organizations(_ reader: SettingsReader, _ top: Section, _ company: Company) -> [Organization] {
        let listed = top.list("organizations", ["code", "name", "inn", "kpp", "base", "books"]) { item in
            if let inn = item.string("inn"), let problem = TaxNumber.problem(inn) {
                item.complain(problem, "inn")
            }
            if let kpp = item.string("kpp"), !isKPP(kpp) { item.complain("a КПП has 9 characters", "kpp") }
            return Organization(
                code: item.required("code"), name: item.required("name"), inn: item.string("inn"),
                kpp: item.string("kpp"), base: item.string("base"), books: books(reader, item))
        }
        unique(listed.map(\.code), top, "organizations", "code")
        return listed.isEmpty
            ? [Organization(code: "main", name: company.name, inn: nil, kpp: nil, base: nil)] : listed
    }

    private static func users(_ top: Section) -> [User] {
        let known: Set = [
            "login", "name", "password", "passwordFile", "role", "roles", "email", "department",
        ]
        let users = top.list("users", known) { item in
            let roles = item.strings("roles") + (item.string("role").map { [$0] } ?? [])
            if roles.isEmpty { item.complain("is missing", "role") }
            for role in roles where !Self.roles.contains(role) {
                item.complain("«\(role)» is not one of \(Self.roles.joined(separator: ", "))", "role")
            }
            return User(
                login: item.required("login"), name: item.required("name"),
                password: item.requiredSecret("password"), roles: roles,
                email: item.string("email"), department: item.string("department"))
        }
        unique(users.map(\.login), top, "users", "login")
        return users
    }

    private static func apiKeys(_ top: Section) -> [APIKey] {
        let keys = top.list("apiKeys", ["name", "key", "keyFile", "roles", "channels"]) { item in
            let roles = item.strings("roles")
            if roles.isEmpty { item.complain("is missing", "roles") }
            for role in roles where !Self.keyRoles.contains(role) {
                item.complain("«\(role)» is not one of \(Self.keyRoles.joined(separator: ", "))", "roles")
            }
            return APIKey(
                name: item.required("name"), key: item.requiredSecret("key"), roles: roles,
                channels: item.strings("channels"))
        }
        unique(keys.map(\.name), top, "apiKeys", "name")
        return keys
    }

    private static func bots(_ top: Section, _ flows: Set<String>) -> [Bot] {
        let known: Set = [
            "name", "channel", "token", "tokenFile", "receive", "webhookSecret", "webhookSecretFile",
            "upstream", "flow",
        ]
        let bots = top.list("bots", known) { item in
            let channel = item.choice("channel", ["telegram"], default: "telegram")
            let token = item.requiredSecret("token")
            if !token.isEmpty, !token.contains(":") {
                item.complain("a Telegram token looks like 123456:AA…", "token")
            }
            let receive = Bot.Receive(rawValue: item.choice("receive", ["poll", "webhook"], default: "poll"))
            let secret = item.secret("webhookSecret")
            if receive == .webhook, secret == nil {
                item.complain("a webhook needs it: without it anybody could post updates", "webhookSecret")
            }
            let flow = item.string("flow") ?? "lead"
            if !flows.contains(flow) { item.complain("there is no flow «\(flow)»", "flow") }
            return Bot(
                name: item.required("name"), channel: channel, token: token,
                receive: receive ?? .poll, webhookSecret: secret,
                upstream: item.string("upstream") ?? "https://api.telegram.org", flow: flow)
        }
        unique(bots.map(\.name), top, "bots", "name")
        return bots
    }

    private static func shops(_ top: Section) -> [Shop] {
        top.list("shops", ["name", "url", "login", "password", "passwordFile", "pollSeconds"]) { item in
            let url = item.required("url")
            if !url.isEmpty, !url.hasPrefix("http://"), !url.hasPrefix("https://") {
                item.complain("an address that begins with http:// or https:// is wanted", "url")
            }
            return Shop(
                name: item.required("name"), url: url, login: item.required("login"),
                password: item.requiredSecret("password"), pollSeconds: item.int("pollSeconds", 1...86_400) ?? 300)
        }
    }

    static func unique(_ names: [String], _ top: Section, _ list: String, _ key: String) {
        var seen: Set<String> = []
        for name in names where !name.isEmpty && !seen.insert(name).inserted {
            top.complain("two entries have the \(key) «\(name)»", list)
        }
    }
}
