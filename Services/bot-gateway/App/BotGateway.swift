import Contracts
import Curl
import Hummingbird
import Logging
import Messaging
import Postgres
import ServiceKit

/// Owns conversations: every chat goes through it, nothing said is lost, a talk becomes a lead.
public struct BotGateway: SuiteService {
    public static let identity = ServiceIdentity.botGateway
    public static let migrations = [
        Migration(3, "V003_gateway.sql", PackageResources.V003_gateway_sql),
        Migration(4, "V004_shops.sql", PackageResources.V004_shops_sql), ConnectorLedger.migration(5),
        Migration(6, "V006_old_traffic.sql", PackageResources.V006_old_traffic_sql),
        Migration(7, "V007_replies_by_chat.sql", PackageResources.V007_replies_by_chat_sql),
    ]
    public static let openAPI = PackageResources.openapi_yaml

    public let bus: EventBus
    let settings: SuiteSettings
    private let journal: IncomingJournal
    private let log: Logger
    private let arrived = Signal()
    private let outgoing: [String: Signal]
    private let access: AccessControl

    public init(_ context: ServiceContext) throws {
        settings = context.settings
        log = context.log
        access = context.access
        let signals = Dictionary(uniqueKeysWithValues: settings.bots.map { ($0.name, Signal()) })
        outgoing = signals
        let everySignal = Signal()
        var handlers = ManagerReply.handlers(outgoing: everySignal)
        var crm = handlers[StreamName(publisher: "crm-core")] ?? EventHandlers()
        RevokedSessions.take(in: &crm, context.access)
        handlers[StreamName(publisher: "crm-core")] = crm
        allOutgoing = everySignal
        bus = try context.bus(subscriptions: handlers)
        connectorLedger = ConnectorLedger(pool: bus.pool)
        let arrived = self.arrived
        journal = IncomingJournal(pool: bus.pool) { arrived.poke() }
    }

    /// Poked for any bot; passed on to each bot's own sender.
    private let allOutgoing: Signal

    let connectorLedger: ConnectorLedger

    public func setAside(_ limit: Int) async throws -> [ParkedItem] {
        try await bus.pool.query(
            """
            SELECT id, connection, coalesce(reason, '') AS reason, received_at FROM incoming WHERE state = 'parked'
            ORDER BY id DESC LIMIT $1
            """, [.int(limit)]
        ).map {
            ParkedItem(
                id: "incoming-\(try $0.int("id"))", service: Self.identity.name,
                what: "update of \(try $0.string("connection"))", reason: try $0.string("reason"),
                at: try $0.time("received_at"), journeyId: nil)
        }
    }

    private var messages: MessagesAPI {
        MessagesAPI(
            bus: bus, telegramBots: Set(settings.bots.map(\.name)), fetched: Set(settings.shops.map(\.name)),
            ledger: connectorLedger)
    }

    public func addRoutes(to router: Router<ServiceRequestContext>) {
        let bots = Dictionary(uniqueKeysWithValues: settings.bots.map { ($0.name, $0) })
        WebhookRoute(bots: bots, journal: journal, ledger: connectorLedger).add(to: router)
        messages.add(to: router)
        ShopsAPI(pool: bus.pool, shops: settings.shops).add(to: router)
        FormsAPI(messages: messages, access: access).add(to: router)
        ConversationsAPI(bus: bus, outgoing: allOutgoing).add(to: router)
    }

    public var loops: [(name: String, run: @Sendable () async throws -> Void)] {
        let bots = Dictionary(uniqueKeysWithValues: settings.bots.map { ($0.name, $0) })
        let flows = Dictionary(settings.flows.map { ($0.name, $0) }) { $1 }
        let http = HTTPClient()
        let processor = TelegramProcessor(
            bus: bus, journal: journal, bots: bots, flows: flows, signal: arrived, outgoing: allOutgoing, log: log)
        var loops: [(name: String, run: @Sendable () async throws -> Void)] = [
            ("processing updates", { try await processor.run() }),
            (
                "giving up what is old",
                { [bus, settings] in
                    try await GatewayRetention(
                        bus: bus, bots: settings.bots.map(\.name), days: settings.retention.days
                    ).run()
                }
            ),
            ("noting how channels do", { [connectorLedger] in try await connectorLedger.run() }),
            ("abandoned talks", { [bus] in try await AbandonedTalks(bus: bus).run() }),
            (
                "outgoing",
                { [allOutgoing, outgoing] in
                    while !Task.isCancelled {
                        await allOutgoing.wait(seconds: 60)
                        for signal in outgoing.values { signal.poke() }
                    }
                }
            ),
        ]
        for bot in settings.bots {
            let sender = OutboxSender(
                bot: bot, bus: bus, http: http, signal: outgoing[bot.name] ?? allOutgoing,
                ledger: connectorLedger, log: log)
            loops.append(("sending for \(bot.name)", { try await sender.run() }))
            guard bot.receive == .poll else { continue }
            let poller = UpdatePoller(
                bot: bot, pool: bus.pool, journal: journal, http: http, ledger: connectorLedger, log: log)
            loops.append(("polling for \(bot.name)", { try await poller.run() }))
        }
        let shop = HTTPClient(bodyLimit: ShopSession.answerLimit)
        for one in settings.shops {
            let poller = ShopPoller(
                shop: one, bus: bus, messages: messages, http: shop, ledger: connectorLedger, log: log)
            loops.append(("fetching orders of \(one.name)", { try await poller.run() }))
        }
        return loops
    }
}
