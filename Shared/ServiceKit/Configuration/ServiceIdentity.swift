/// The five services, and where each stands by default.
public enum ServiceIdentity: String, CaseIterable, Sendable {
    case crmCore = "crm-core"
    case botGateway = "bot-gateway"
    case accountingBridge = "accounting-bridge"
    case biAggregator = "bi-aggregator"
    case notifier = "notifier"

    public var name: String { rawValue }
    /// PostgreSQL schema and role.
    public var schema: String { rawValue.split(separator: "-").joined(separator: "_") }

    private var offset: Int {
        switch self {
        case .crmCore: 0
        case .botGateway: 1
        case .accountingBridge: 2
        case .biAggregator: 3
        case .notifier: 4
        }
    }
    /// The hosts where peers reach this service: `PEER_HOST_CRM_CORE`, several with commas when a standby runs on another
    /// host; else loopback.
    public func hosts(_ environment: [String: String]) -> [String] { namedHosts(environment) ?? ["127.0.0.1"] }
    /// Nil when the environment names none.
    public func namedHosts(_ environment: [String: String]) -> [String]? {
        environment["PEER_HOST_\(schema.uppercased())"]?.split(separator: ",").map(String.init)
    }

    public func httpPort(base: Int) -> Int { base + offset }
    public func publishPort(base: Int) -> Int { base + 100 + offset }
    public func letterboxPort(base: Int) -> Int { base + 200 + offset }
    /// Metric topics for BI consumers.
    public static func metricsPort(base: Int) -> Int { base + 303 }
    public static func databasePort(base: Int) -> Int { base + 352 }
}
