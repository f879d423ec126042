import Contracts
import Hummingbird
import Logging
import Messaging
import Postgres
import ServiceKit

/// The right person hears of it once, in time.
public struct Notifier: SuiteService {
    public static let identity = ServiceIdentity.notifier
    public static let migrations = [
        Migration(3, "V003_notifier.sql", PackageResources.V003_notifier_sql), ConnectorLedger.migration(4),
    ]
    public static let openAPI = PackageResources.openapi_yaml

    public let bus: EventBus
    private let smtp: SuiteSettings.SMTP?
    private let log: Logger
    private let signal = Signal()
    let connectorLedger: ConnectorLedger
    var mail: ConnectorLedger.Way? { smtp.map { _ in MailSender.way } }

    public init(_ context: ServiceContext) throws {
        smtp = context.settings.smtp
        log = context.log
        let signal = self.signal
        let address = context.settings.publicURL ?? context.httpAddress(.crmCore)
        var (crm, bridge) = Letters(publicURL: address).handlers()
        RevokedSessions.take(in: &crm, context.access)
        crm.onEvery { _, transaction in transaction.afterCommit { signal.poke() } }
        bridge.onEvery { _, transaction in transaction.afterCommit { signal.poke() } }
        bus = try context.bus(subscriptions: [
            StreamName(publisher: "crm-core"): crm, StreamName(publisher: "accounting-bridge"): bridge,
        ])
        connectorLedger = ConnectorLedger(pool: bus.pool)
    }

    public func addRoutes(to router: Router<ServiceRequestContext>) {
        NotificationsAPI(bus: bus, signal: signal).add(to: router)
    }

    public var loops: [(name: String, run: @Sendable () async throws -> Void)] {
        guard let smtp else {
            log.warning("no smtp.url is set: letters are kept and wait")
            return []
        }
        let sender = MailSender(bus: bus, smtp: smtp, signal: signal, ledger: connectorLedger, log: log)
        return [
            ("sending mail", { try await sender.run() }),
            ("noting how mail does", { [connectorLedger] in try await connectorLedger.run() }),
        ]
    }
}
