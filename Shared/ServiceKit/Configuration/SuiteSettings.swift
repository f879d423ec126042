import Primitives

/// The suite's configuration, validated as a whole: one YAML file for all services.
public struct SuiteSettings: Sendable {
    public struct Company: Sendable {
        public var name = "Моя компания"
        public var currency = Currency.rub
        public var timeZone = "Europe/Moscow"
        public var locale = "ru"
    }
    public struct Organization: Sendable {
        public let code, name: String
        public let inn, kpp, base: String?
        /// Kinds of documents that another base than the order's is authoritative for, and which.
        public var books: [String: String] = [:]

        /// Kinds of documents whose books may be named.
        public static let documentKinds = ["invoice", "payment", "refund", "shipment", "return"]

        /// The one base whose word counts for a kind of document; nil: the base that the order was given to. Money that goes back is kept where
        /// money comes in, and goods likewise, unless it is named.
        public func keeper(of kind: String) -> String? {
            switch kind {
            case "refund": books[kind] ?? books["payment"]
            case "return": books[kind] ?? books["shipment"]
            default: books[kind]
            }
        }
    }
    public struct User: Sendable {
        public let login, name, password: String
        public let roles: [String]
        public let email, department: String?
    }
    public struct APIKey: Sendable {
        public let name, key: String
        public let roles: [String]
        /// Empty: every channel.
        public let channels: [String]
    }
    public struct Bot: Sendable {
        public enum Receive: String, Sendable { case poll, webhook }
        public let name, channel, token: String
        public let receive: Receive
        public let webhookSecret: String?
        public let upstream, flow: String
    }
    /// An internet shop whose orders are fetched as 1C would fetch them: CommerceML, «обмен с сайтом», the 1C side.
    public struct Shop: Sendable {
        public let name, url, login, password: String
        /// Seconds between two sessions.
        public let pollSeconds: Int64
    }
    public struct Base: Sendable {
        /// How a base is talked to.
        public enum Driver: String, Sendable, CaseIterable {
            /// It comes to us: «обмен с сайтом».
            case commerceml
            /// We go to it: the standard OData interface.
            case odata
            /// Files in a folder.
            case folder
            /// 1C's messages of EnterpriseData in a folder.
            case enterprisedata
        }
        public let base: String
        public let driver: Driver
        public let login, password: String
        public let firstNumber: Int64
        public let timeZone: String
        /// Those who have to mark an order for signing as done.
        public let departments: [String]
        /// `odata`: the address before `/odata/standard.odata`.
        public var url = ""
        /// `odata`: a mapping that is built in, or the name of a file with one.
        public var mapping = ""
        /// `odata`: the node of the exchange plan in which the base registers for us what changes; empty when it has none.
        public var exchangeNode = ""
        /// `folder`, `enterprisedata`: where the files are exchanged. `folder`: what an order is written as, `json` or `csv`.
        public var folder = ""
        public var format = ""
        /// `enterprisedata`: the codes of our node and of the base's.
        public var node = ""
        public var peer = ""
        /// Orders a minute at most.
        public var ratePerMinute: Int64 = 120
        /// On the company's clock: no orders are sent then.
        public var quietHours: DayHours?
        /// Seconds between two readings of what the system tells.
        public var readSeconds: Int64 = 20
        /// `odata`: seconds that an answer may take.
        public var timeoutSeconds: Int64 = 60
        /// Seconds for which the system may still be busy with a request whose answer did not come.
        public var settleSeconds: Int64 = 60
        /// Orders that are made in the base itself are taken, too. A base that is asked (`odata`) is asked for those since `bornSince`, `2026-01-31`, and
        /// for none when that is empty.
        public var takesBorn = true
        public var bornSince = ""
        /// Where it answers questions; nil: nowhere, or, of a `folder`, in the folder.
        public var inquiries: Inquiries?
    }
    /// An HTTP service of a base that answers questions (`deploy/docs/inquiries.md`).
    public struct Inquiries: Sendable {
        /// What stands before `/prices`, `/receipts` and `/print`.
        public let url: String
        public let login, password: String
        /// Seconds that an answer may take.
        public let timeoutSeconds: Int64
    }
    public struct SMTP: Sendable {
        public let url, from: String
    }
    public struct FlowStep: Sendable, Codable {
        public let id, kind, prompt: String
        public let retry: String?
    }
    public struct Flow: Sendable, Codable {
        public let name, greeting, consent, consentText, consentButton, thanks: String
        public let phoneButton: String
        /// Seconds of silence after which a talk counts as abandoned.
        public let abandonAfter: Int64
        public let steps: [FlowStep]
    }

    /// How long the services' logs are kept, and how much room must stay free.
    public struct Retention: Sendable {
        public var days = 90
        public var megabytes = 50_000
        public var freeMegabytes = 1024
        /// Days for which the exchanges with 1C are kept: books are kept for five years (402-ФЗ, article 29).
        public var journalDays = 1830
    }

    public var company = Company()
    public var retention = Retention()
    public var organizations: [Organization] = []
    public var users: [User] = []
    public var apiKeys: [APIKey] = []
    public var bots: [Bot] = []
    public var shops: [Shop] = []
    public var bases: [Base] = []
    public var flows: [Flow] = []
    public var smtp: SMTP?
    public var databaseURL: String?
    public var publicURL: String?
    public var httpHost = "127.0.0.1"
    /// Proxies whose `X-Forwarded-For` is believed.
    public var proxies = ["127.0.0.0/8", "::1"].compactMap { AddressRange($0) }
    /// Where this host's own programs reach what is bound there, as it stands in a URL.
    public var reachableHost: String {
        switch httpHost {
        case "0.0.0.0", "::": "127.0.0.1"
        case _ where httpHost.contains(":"): "[\(httpHost)]"
        default: httpHost
        }
    }
    public var logLevel = "info"
    public var logFormat = "text"

    public static let roles = ["admin", "head", "manager", "accountant", "logistician", "integrator"]
    public static let keyRoles = ["bot", "reader", "integrator", "admin"]

    public func organization(_ code: String) -> Organization? {
        organizations.first { $0.code == code }
    }

    /// Stands for "no base": the books of a company that works without 1C. No base may be called so.
    public static let ownBooks = "own"

    /// Stands where a base's name stands otherwise, for what a bank's statement tells. No base may be called so.
    public static let bankBooks = "bank"

    /// There is no 1C: what was paid and shipped is written down by hand.
    public var keepsOwnBooks: Bool { bases.isEmpty }

    /// Departments that have to mark an order for signing in a base.
    public func departments(_ base: String) -> [String] { bases.first { $0.base == base }?.departments ?? [] }

    /// The base that keeps an organization's books: its own, else the only one there is.
    public func base(of organization: Organization) -> Base? {
        if let name = organization.base { return bases.first { $0.base == name } }
        return bases.count == 1 ? bases[0] : nil
    }
}

/// Everything that is wrong with the settings, in one message.
public struct WrongSettings: Error, CustomStringConvertible {
    public let file: String
    public let problems: [String]

    public init(file: String, problems: [String]) { (self.file, self.problems) = (file, problems) }

    public var description: String {
        "the settings in \(file) cannot be used:\n"
            + problems.map { "  - \($0)" }.joined(separator: "\n")
    }
}
