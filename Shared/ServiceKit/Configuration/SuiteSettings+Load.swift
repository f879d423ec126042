import FoundationEssentials
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
        let http = reader.section(top.child("http"), "http", ["host"])
        settings.httpHost = http.string("host") ?? "127.0.0.1"
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
        company.timeZone = section.string("timeZone") ?? company.timeZone
        company.locale = section.choice("locale", ["ru", "en"], default: "ru")
        return company
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

    private static func bases(_ reader: SettingsReader, _ top: Section) -> [Base] {
        let known: Set = [
            "base", "driver", "login", "password", "passwordFile", "firstNumber", "timeZone", "departments", "url",
            "mapping", "folder", "format", "node", "peer", "exchangeNode", "ratePerMinute", "quietHours", "readSeconds",
            "settleSeconds", "timeoutSeconds", "inquiries",
        ]
        let bases = top.list("onec", known) { item in
            if item.string("base") == ownBooks { item.complain("«\(ownBooks)» means: without 1C", "base") }
            if item.string("base") == bankBooks { item.complain("«\(bankBooks)» means: by a bank's statement", "base") }
            let word = item.choice("driver", Base.Driver.allCases.map(\.rawValue), default: "commerceml")
            var base = base(item, Base.Driver(rawValue: word) ?? .commerceml)
            base.inquiries = inquiries(reader, item, of: base)
            return base
        }
        unique(bases.map(\.base), top, "onec", "base")
        return bases
    }

    private static func base(_ item: Section, _ driver: Base.Driver) -> Base {
        let hasLogin = driver == .commerceml || driver == .odata
        var base = Base(
            base: item.required("base"), driver: driver, login: hasLogin ? item.required("login") : "",
            password: hasLogin ? item.requiredSecret("password") : "",
            firstNumber: item.int("firstNumber", 1...99_999_999_999) ?? 1,
            timeZone: item.string("timeZone") ?? "Europe/Moscow", departments: item.strings("departments"))
        let own: [(key: String, drivers: [Base.Driver])] = [
            ("url", [.odata]), ("mapping", [.odata]), ("timeoutSeconds", [.odata]), ("exchangeNode", [.odata]),
            ("format", [.folder]),
            ("folder", [.folder, .enterprisedata]), ("node", [.enterprisedata]), ("peer", [.enterprisedata]),
        ]
        for (key, drivers) in own where !drivers.contains(driver) && item.child(key) != nil {
            let names = drivers.map(\.rawValue).joined(separator: " or ")
            item.complain("only driver \(names) has it", key)
        }
        switch driver {
        case .commerceml:
            for key in ["ratePerMinute", "quietHours", "readSeconds", "settleSeconds"] where item.child(key) != nil {
                item.complain("driver commerceml has none: the base itself decides when it comes", key)
            }
        case .odata:
            base.url = item.required("url")
            while base.url.hasSuffix("/") { base.url.removeLast() }
            if !base.url.hasPrefix("http://"), !base.url.hasPrefix("https://") {
                item.complain("an address that begins with http:// or https:// is wanted", "url")
            }
            base.mapping = item.required("mapping")
            base.exchangeNode = item.string("exchangeNode") ?? ""
            if !base.exchangeNode.isEmpty,
                base.exchangeNode.wholeMatch(of: /ExchangePlan_\w+\(guid'[0-9a-fA-F-]{36}'\)/) == nil
            {
                item.complain(
                    "a node such as ExchangePlan_X(guid'…') is wanted, not «\(base.exchangeNode)»", "exchangeNode")
            }
            base.timeoutSeconds = item.int("timeoutSeconds", 1...600) ?? base.timeoutSeconds
        case .folder:
            base.folder = item.required("folder")
            base.format = item.choice("format", ["json", "csv"], default: "json")
        case .enterprisedata:
            base.folder = item.required("folder")
            base.node = item.string("node") ?? "TL"
            base.peer = item.required("peer")
            for (key, code) in [("node", base.node), ("peer", base.peer)]
            where code.contains(where: { !$0.isLetter && !$0.isNumber && $0 != "-" }) {
                item.complain("the code of a node is letters, digits and hyphens, not «\(code)»", key)
            }
            if base.node == base.peer { item.complain("it is the base's code, not ours", "peer") }
        }
        base.ratePerMinute = item.int("ratePerMinute", 1...60_000) ?? base.ratePerMinute
        if let hours = item.string("quietHours") {
            base.quietHours = DayHours(hours)
            if base.quietHours == nil {
                item.complain("hours of the day are wanted, such as 22:00-07:00, not «\(hours)»", "quietHours")
            }
        }
        base.readSeconds = item.int("readSeconds", 1...3600) ?? base.readSeconds
        base.settleSeconds = item.int("settleSeconds", 1...3600) ?? base.settleSeconds
        return base
    }

    private static func inquiries(_ reader: SettingsReader, _ item: Section, of base: Base) -> Inquiries? {
        guard let node = item.child("inquiries") else { return nil }
        guard base.driver != .folder else {
            item.complain("driver folder has none: questions and answers are files there", "inquiries")
            return nil
        }
        let section = reader.section(
            node, item.join("inquiries"), ["url", "login", "password", "passwordFile", "timeoutSeconds"])
        var url = section.required("url")
        while url.hasSuffix("/") { url.removeLast() }
        if !url.isEmpty, !url.hasPrefix("http://"), !url.hasPrefix("https://") {
            section.complain("an address that begins with http:// or https:// is wanted", "url")
        }
        return Inquiries(
            url: url, login: section.required("login"), password: section.requiredSecret("password"),
            timeoutSeconds: section.int("timeoutSeconds", 1...60) ?? 10)
    }

    private static func unique(_ names: [String], _ top: Section, _ list: String, _ key: String) {
        var seen: Set<String> = []
        for name in names where !name.isEmpty && !seen.insert(name).inserted {
            top.complain("two entries have the \(key) «\(name)»", list)
        }
    }
}
