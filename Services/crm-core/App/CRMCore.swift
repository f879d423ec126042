import Contracts
import Hummingbird
import Logging
import Messaging
import Postgres
import ServiceKit

/// The centre: who took it, what was done, what is next.
public struct CRMCore: SuiteService {
    public static let identity = ServiceIdentity.crmCore
    public static let migrations = [Migration(2, "V002_crm.sql", PackageResources.V002_crm_sql)]
    public static let openAPI = String(decoding: PackageResources.openapi_yaml, as: UTF8.self)

    public let bus: EventBus
    private let context: ServiceContext
    private let sessions: Sessions
    private let live = LivePages()
    private let renderer: PageRenderer

    public init(_ context: ServiceContext) throws {
        self.context = context
        let projection = JourneyProjection(live: live)
        var subscriptions: [StreamName: EventHandlers] = [:]
        for service in ServiceIdentity.allCases {
            var handlers =
                switch service {
                case .botGateway: LeadOpening(live: live).handlers()
                case .accountingBridge: OrderReports(live: live).handlers()
                default: EventHandlers()
                }
            projection.add(to: &handlers)
            subscriptions[StreamName(publisher: service.name)] = handlers
        }
        bus = try context.bus(subscriptions: subscriptions, commandsTo: [.botGateway])
        sessions = Sessions(bus: bus, key: try context.keys.signingKey(), access: context.access)
        renderer = try PageRenderer(sessions: sessions, settings: context.settings, pool: bus.pool)
    }

    public func prepare() async throws {
        let log = context.log
        try await Staff(bus: bus).create(context.settings.users) { log.warning("\($0)") }
        try await sessions.reloadRevoked()
    }

    public func addRoutes(to router: Router<ServiceRequestContext>) {
        let leads = LeadActions(bus: bus, settings: context.settings, live: live)
        let deals = DealActions(bus: bus, live: live)
        let orders = OrderRequest(
            bus: bus, settings: context.settings, numbers: OrderNumbers(data: context.options.data),
            live: live)
        let api = API(
            bus: bus, sessions: sessions, leads: leads, deals: deals, orders: orders,
            directory: Directory(pool: bus.pool))
        api.add(to: router)
        Workspace(
            bus: bus, sessions: sessions, settings: context.settings, leads: leads, deals: deals,
            orders: orders, api: api, renderer: renderer, live: live
        ).add(to: router)
        ForwardedPages(
            bridge: context.httpAddress(.accountingBridge), bi: context.httpAddress(.biAggregator),
            renderer: renderer
        ).add(to: router)
        Assets().add(to: router)
    }
}
