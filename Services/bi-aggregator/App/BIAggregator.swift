import Contracts
import Hummingbird
import Logging
import Messaging
import Postgres
import ServiceKit
import ZeroMQ

/// Every figure with its cause, down to the message it came from.
public struct BIAggregator: SuiteService {
    public static let identity = ServiceIdentity.biAggregator
    public static let migrations = [
        Migration(3, "V003_bi.sql", PackageResources.V003_bi_sql),
        Migration(4, "V004_money_by_order.sql", PackageResources.V004_money_by_order_sql),
        Migration(5, "V005_order_of_numbers.sql", PackageResources.V005_order_of_numbers_sql),
    ]
    public static let openAPI = PackageResources.openapi_yaml

    public let bus: EventBus
    private let live = LiveFigures()
    private let pages: DashboardPages
    private let topics: MetricTopics
    private let port: ConsumerPort
    private let loadReaders: @Sendable () -> Void

    /// Seconds after which a key made by `throughline keys add` is known.
    private static let readerPause = 2.0

    public init(_ context: ServiceContext) throws {
        let host = context.settings.httpHost
        let isLocal = ["127.0.0.1", "localhost", "::1"].contains(host)
        // Bound beyond loopback the topics demand a reader's key.
        // Anew for each consumer: the key may have been changed.
        let security: @Sendable () throws -> Security = { [keys = context.keys] in
            isLocal ? .plain : .server(try keys.curve(.biAggregator), domain: "reader")
        }
        _ = try security()
        let posted = TopicsSlot()
        let readers: @Sendable () -> Void = { [authenticator = context.authenticator, keys = context.keys] in
            // By its key, not by its name, which may have got another one.
            let names = Dictionary(keys.readers().keys.map { ($0, $0) }) { $1 }
            authenticator.allow(names, in: "reader")
            if !isLocal {
                posted.topics?.post(.allowed(Set(names.values), serverKey: try? keys.publicKey(.biAggregator)))
            }
        }
        readers()
        loadReaders = readers
        let live = self.live
        let facts = FactHandlers { cells in
            posted.topics?.post(.changed(cells))
            live.changed(cells)
        }
        var crm = facts.crm()
        RevokedSessions.take(in: &crm, context.access)
        let bus = try context.bus(subscriptions: [
            StreamName(publisher: "crm-core"): crm,
            StreamName(publisher: "bot-gateway"): facts.gateway(),
        ])
        self.bus = bus
        pages = try DashboardPages(pool: bus.pool, live: live, locale: context.settings.company.locale)
        let log = context.log
        topics = MetricTopics(context.zeromq, security: security, log: log) { prefix in
            let rows = try await bus.pool.query(
                """
                SELECT \(Cell.columns) FROM cell WHERE starts_with('metric/' || metric || '/' || grain, $1)
                ORDER BY period DESC, metric, grain, dimensions LIMIT \(MetricTopics.presentLimit + 1)
                """, [.text(prefix.filter { $0 != "\0" })])
            if rows.count > MetricTopics.presentLimit {
                log.warning(
                    "a new subscriber gets the newest figures only: subscribe to less, or read the older ones over HTTP",
                    metadata: ["topic": "\(prefix)", "figures": "\(MetricTopics.presentLimit)"])
            }
            return try rows.prefix(MetricTopics.presentLimit).map { try Cell($0) }
        }
        posted.set(topics)
        port = ConsumerPort(
            host: host, port: ServiceIdentity.metricsPort(base: context.options.portBase),
            folder: try SocketFolder.make(context.options), topics: topics, log: log)
    }

    public func addRoutes(to router: Router<ServiceRequestContext>) {
        MetricsAPI(pool: bus.pool).add(to: router)
        MoneyFacts(pool: bus.pool).add(to: router)
        pages.add(to: router)
    }

    public var loops: [(name: String, run: @Sendable () async throws -> Void)] {
        topics.start()
        return [
            ("metric topics", { [port] in try await port.run() }),
            (
                "reader keys",
                { [loadReaders] in
                    while !Task.isCancelled {
                        try await Task.sleep(for: .seconds(Self.readerPause))
                        loadReaders()
                    }
                }
            ),
        ]
    }
}
