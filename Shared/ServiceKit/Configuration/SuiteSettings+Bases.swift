import Primitives
import Yams

/// `onec`: the bases, each with the settings that its driver has.
extension SuiteSettings {
    static func bases(_ reader: SettingsReader, _ top: Section) -> [Base] {
        let known: Set = [
            "base", "driver", "login", "password", "passwordFile", "firstNumber", "timeZone", "departments", "url",
            "mapping", "folder", "format", "node", "peer", "exchangeNode", "ratePerMinute", "quietHours", "readSeconds",
            "settleSeconds", "timeoutSeconds", "inquiries", "ownOrders", "ownOrdersSince",
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
            timeZone: timeZone(item) ?? "Europe/Moscow", departments: item.strings("departments"))
        let own: [(key: String, drivers: [Base.Driver])] = [
            ("url", [.odata]), ("mapping", [.odata]), ("timeoutSeconds", [.odata]), ("exchangeNode", [.odata]),
            ("ownOrdersSince", [.odata]),
            ("format", [.folder]),
            ("folder", [.folder, .enterprisedata]), ("node", [.enterprisedata]), ("peer", [.enterprisedata]),
        ]
        for (key, drivers) in own where !drivers.contains(driver) && item.child(key) != nil {
            let names = drivers.map(\.rawValue).joined(separator: " or ")
            item.complain("only driver \(names) has it", key)
        }
        base.takesBorn = item.choice("ownOrders", ["true", "false"], default: "true") == "true"
        if let day = item.string("ownOrdersSince") {
            base.bornSince = day
            if day.wholeMatch(of: /[0-9]{4}-[0-9]{2}-[0-9]{2}/) == nil || Timestamp(day)?.day != day {
                item.complain("a day such as 2026-01-31 is wanted, not «\(day)»", "ownOrdersSince")
            }
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
}
