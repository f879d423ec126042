import Contracts
import Hummingbird
import Logging
import Messaging
import Postgres
import ServiceKit

/// The centre: who took it, what was done, what is next.
public struct CRMCore: SuiteService {
    public static let identity = ServiceIdentity.crmCore
    public static let migrations = [
        Migration(3, "V003_crm.sql", PackageResources.V003_crm_sql),
        Migration(4, "V004_document_per_order.sql", PackageResources.V004_document_per_order_sql),
        Migration(5, "V005_due_dates.sql", PackageResources.V005_due_dates_sql),
        Migration(6, "V006_order_flags.sql", PackageResources.V006_order_flags_sql),
        Migration(7, "V007_identity.sql", PackageResources.V007_identity_sql),
        Migration(8, "V008_cost.sql", PackageResources.V008_cost_sql),
        Migration(9, "V009_authority.sql", PackageResources.V009_authority_sql),
        Migration(10, "V010_ownership.sql", PackageResources.V010_ownership_sql),
        Migration(11, "V011_order_changes.sql", PackageResources.V011_order_changes_sql),
        Migration(12, "V012_invoices.sql", PackageResources.V012_invoices_sql),
        Migration(13, "V013_born_in_1c.sql", PackageResources.V013_born_in_1c_sql),
        Migration(14, "V014_payment_of_deals.sql", PackageResources.V014_payment_of_deals_sql),
        Migration(15, "V015_who_named_it.sql", PackageResources.V015_who_named_it_sql),
        Migration(16, "V016_whose_clients.sql", PackageResources.V016_whose_clients_sql),
        Migration(17, "V017_touched.sql", PackageResources.V017_touched_sql),
    ]
    public static let openAPI = PackageResources.openapi_yaml

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
                case .accountingBridge: Self.onec(context.settings, live)
                default: EventHandlers()
                }
            projection.add(to: &handlers)
            subscriptions[StreamName(publisher: service.name)] = handlers
        }
        bus = try context.bus(
            subscriptions: subscriptions, commandsTo: [.botGateway],
            snapshot: { asOf, speak in try await StateRestating(asOf: asOf, speak: speak).run() })
        sessions = Sessions(
            bus: bus, key: try context.keys.signingKey(), access: context.access,
            isSecure: context.settings.publicURL?.hasPrefix("https://") == true)
        renderer = try PageRenderer(sessions: sessions, settings: context.settings, pool: bus.pool)
    }

    /// What the bridge tells: of orders, and of clients.
    private static func onec(_ settings: SuiteSettings, _ live: LivePages) -> EventHandlers {
        var handlers = OrderReports(documents: OrderDocuments(live: live), flags: OrderFlags(settings: settings))
            .handlers()
        ClientCards().handlers(&handlers)
        BornOrders.take(in: &handlers)
        OrderChanges.take(in: &handlers, OrderDocuments(live: live))
        return handlers
    }

    public func prepare() async throws {
        let log = context.log
        try await Staff(bus: bus).create(context.settings.users) { log.warning("\($0)") }
    }

    public func addRoutes(to router: Router<ServiceRequestContext>) {
        let leads = LeadActions(settings: context.settings, live: live)
        let deals = DealActions(live: live)
        let orders = OrderRequest(
            settings: context.settings, numbers: OrderNumbers(data: context.options.data), live: live)
        SessionRoutes(bus: bus, sessions: sessions).add(to: router)
        LeadRoutes(bus: bus, leads: leads).add(to: router)
        DealRoutes(bus: bus, deals: deals).add(to: router)
        let books = OwnBooks(documents: OrderDocuments(live: live))
        let changes = OrderChanges(orders: orders, documents: OrderDocuments(live: live))
        let invoices = Invoices(documents: OrderDocuments(live: live))
        OrderRoutes(bus: bus, orders: orders, books: books, changes: changes, invoices: invoices).add(to: router)
        BornOrders(bus: bus, documents: OrderDocuments(live: live)).add(to: router)
        DirectoryRoutes(bus: bus).add(to: router)
        CardRoutes(bus: bus).add(to: router)
        OwnershipRoutes(pool: bus.pool).add(to: router)
        Settlements(pool: bus.pool).add(to: router)
        ClientPages(
            routes: CardRoutes(bus: bus), sessions: sessions, renderer: renderer, settings: context.settings
        ).add(to: router)
        JourneyRoutes(pool: bus.pool).add(to: router)
        EventFeed(bus: bus).add(to: router)
        Search(pool: bus.pool).add(to: router)
        Pages(
            bus: bus, sessions: sessions, settings: context.settings, leads: leads, deals: deals,
            orders: orders, books: books, changes: changes, invoices: invoices, others: others, renderer: renderer,
            live: live
        ).add(to: router)
        ForwardedPages(
            bridge: context.httpAddress(.accountingBridge), bi: context.httpAddress(.biAggregator),
            renderer: renderer, sessions: sessions
        ).add(to: router)
        ConnectorPages(renderer: renderer, others: others).add(to: router)
        FlowPages(pool: bus.pool, sessions: sessions, renderer: renderer, others: others).add(to: router)
        DisputePages(
            disputes: Disputes(pool: bus.pool), comparison: comparison, sessions: sessions,
            renderer: renderer
        ).add(to: router)
        ReplayPages(
            sessions: sessions, renderer: renderer, others: others, bases: context.settings.bases.map(\.base)
        ).add(to: router)
        Assets().add(to: router)
    }

    private var others: OtherServices {
        OtherServices(
            addresses: Dictionary(uniqueKeysWithValues: ServiceIdentity.allCases.map { ($0, context.httpAddress($0)) }))
    }

    private var comparison: NightlyComparison {
        NightlyComparison(
            bus: bus, reconciliation: Reconciliation(pool: bus.pool, others: others), key: sessions.key)
    }

    public var loops: [(name: String, run: @Sendable () async throws -> Void)] {
        [
            ("housekeeping", { [bus] in try await Housekeeping(pool: bus.pool).run() }),
            ("comparing at night", { [comparison] in try await comparison.watch() }),
            ("histories of invoices", { [bus] in try await Invoices.beginHistories(bus) }),
            ("payments of older orders", { [bus] in try await PaymentStates.begin(bus) }),
            ("due dates", { [bus] in try await DueDates.watch(bus) }),
        ]
    }
}
