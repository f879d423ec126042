import Contracts
import Hummingbird
import Logging
import Messaging
import Postgres
import ServiceKit

/// 1C's truth about money, isolated and replayable: the exchange, its journal, the copies of documents.
public struct AccountingBridge: SuiteService {
    public static let identity = ServiceIdentity.accountingBridge
    public static let migrations = [
        Migration(3, "V003_bridge.sql", PackageResources.V003_bridge_sql),
        Migration(4, "V004_bank.sql", PackageResources.V004_bank_sql),
        Migration(5, "V005_catalog.sql", PackageResources.V005_catalog_sql),
        Migration(6, "V006_repair.sql", PackageResources.V006_repair_sql),
        Migration(7, "V007_order_truth.sql", PackageResources.V007_order_truth_sql),
        Migration(8, "V008_systems.sql", PackageResources.V008_systems_sql),
        Migration(9, "V009_journal.sql", PackageResources.V009_journal_sql),
        Migration(10, "V010_exchange_plans.sql", PackageResources.V010_exchange_plans_sql),
        Migration(11, "V011_journal_search.sql", PackageResources.V011_journal_search_sql),
        Migration(12, "V012_set_aside.sql", PackageResources.V012_set_aside_sql),
        Migration(13, "V013_authority.sql", PackageResources.V013_authority_sql),
        Migration(14, "V014_asked_anew.sql", PackageResources.V014_asked_anew_sql),
        Migration(15, "V015_what_was_before.sql", PackageResources.V015_what_was_before_sql),
        Migration(16, "V016_bookings_and_numbers.sql", PackageResources.V016_bookings_and_numbers_sql),
        Migration(17, "V017_claim_photos.sql", PackageResources.V017_claim_photos_sql),
        Migration(18, "V018_words_of_people.sql", PackageResources.V018_words_of_people_sql),
        Migration(19, "V019_born_in_1c.sql", PackageResources.V019_born_in_1c_sql),
        Migration(20, "V020_who_changed_it.sql", PackageResources.V020_who_changed_it_sql),
        Migration(21, "V021_goods_by_odata.sql", PackageResources.V021_goods_by_odata_sql),
    ]
    public static let openAPI = PackageResources.openapi_yaml

    public let bus: EventBus
    let settings: SuiteSettings
    private let log: Logger
    private let pages: JournalPages
    private let bank: BankRoutes
    private let orderFiles: OrderFileReader
    private let reports: OrderReports
    private let catalogs: CatalogDesk
    private let bankPages: BankPages
    private let handPage: HandPage
    private let carried: HandExchange
    private let goodsPage: GoodsPage
    private let orderPages: OrderPages
    /// Bases that we talk to by ourselves.
    private let systems: [SystemLine]
    private let inquiries: InquiryDesk
    private let repair: Repair
    private let keeper: JournalKeeper

    public init(_ context: ServiceContext) throws {
        settings = context.settings
        log = context.log
        let active = context.settings.bases.filter { $0.driver != .commerceml }
        let wakers = Dictionary(uniqueKeysWithValues: active.map { ($0.base, Signal()) })
        let organizations = context.settings.organizations
        let authority = BookAuthority(organizations)
        var crm = OrderQueue.handlers(authority) { wakers[$0]?.poke() }
        RevokedSessions.take(in: &crm, context.access)
        ClientCards.take(in: &crm)
        JourneyStarts.take(in: &crm)
        OrderChanges.take(in: &crm) { wakers[$0]?.poke() }
        let bus = try context.bus(subscriptions: [StreamName(publisher: "crm-core"): crm])
        self.bus = bus
        keeper = JournalKeeper(
            bus: bus, signing: try? context.keys.logSigningKey(.accountingBridge),
            days: context.settings.retention.journalDays, log: context.log)
        let reports = OrderReports(bus: bus, authority: authority, births: OrderBirths(context.settings))
        self.reports = reports
        orderFiles = OrderFileReader(bus: bus, currency: context.settings.company.currency, reports: reports)
        catalogs = CatalogDesk(bus: bus, log: context.log)
        let currency = context.settings.company.currency
        systems = try active.map { base in
            let folder = ExchangeFolder(path: base.folder, marks: FolderMark(pool: bus.pool, base: base.base))
            let driver: any AccountingDriver =
                switch base.driver {
                case .odata:
                    ODataDriver(
                        base, organizations: organizations, mapping: try ODataMappings.load(base.mapping),
                        bus: bus, births: reports.births)
                case .enterprisedata:
                    EnterpriseDataDriver(
                        base, organizations: organizations, folder: folder, bus: bus,
                        births: reports.births)
                case .folder, .commerceml:
                    FolderDriver(
                        folder, format: FolderFormat(rawValue: base.format) ?? .json, fallback: currency)
                }
            return SystemLine(base, driver, bus: bus, signal: wakers[base.base] ?? Signal(), log: context.log)
        }
        inquiries = InquiryDesk(
            pool: bus.pool,
            channels: context.settings.bases.reduce(into: [:]) { channels, base in
                if base.driver == .folder {
                    let folder = ExchangeFolder(path: base.folder, marks: FolderMark(pool: bus.pool, base: base.base))
                    channels[base.base] = FolderInquiries(folder: folder, patience: 10)
                } else if let settings = base.inquiries {
                    channels[base.base] = ServiceInquiries(settings)
                }
            })
        let matching = BankMatching(bus: bus)
        bank = BankRoutes(
            bus: bus, statements: BankStatements(bus: bus, settings: context.settings, matching: matching),
            matching: matching, journal: ExchangeJournal(pool: bus.pool))
        repair = Repair(
            bus: bus, files: orderFiles, reports: reports, catalogs: catalogs, systems: systems,
            passive: Set(context.settings.bases.filter { $0.driver == .commerceml }.map(\.base)))
        orderPages = try OrderPages(
            OrderStories(pool: bus.pool, systems: systems), repair: repair,
            locale: context.settings.company.locale)
        bankPages = try BankPages(bank, settings: context.settings)
        goodsPage = try GoodsPage(bus.pool, locale: context.settings.company.locale)
        carried = HandExchange(
            bus: bus, settings: context.settings, journal: ExchangeJournal(pool: bus.pool),
            queue: OrderQueue(bus: bus), orders: orderFiles, catalogs: catalogs, systems: systems)
        handPage = try HandPage(HandRoutes(exchange: carried), locale: context.settings.company.locale)
        pages = try JournalPages(
            JournalAPI(bus: bus, settings: context.settings), locale: context.settings.company.locale)
    }

    public func setAside(_ limit: Int) async throws -> [ParkedItem] {
        try await bus.pool.query(
            """
            SELECT p.id, p.base, p.number, p.reason, p.at FROM parked_document p WHERE p.settled_at IS NULL
            ORDER BY p.id DESC LIMIT $1
            """, [.int(limit)]
        ).map {
            let number = try $0.optionalString("number")
            return ParkedItem(
                id: try $0.id("id").description, service: Self.identity.name,
                what: "1C \(try $0.string("base")): \(number.map { "document \($0)" } ?? "a file")",
                reason: try $0.string("reason"), at: try $0.time("at"), journeyId: nil)
        }
    }

    public func addRoutes(to router: Router<ServiceRequestContext>) {
        ExchangeRoute(
            settings: settings, bus: bus, journal: ExchangeJournal(pool: bus.pool),
            queue: OrderQueue(bus: bus),
            files: orderFiles,
            catalog: CatalogExchange(bus: bus, desk: catalogs), log: log
        ).add(to: router)
        GoodsAPI(pool: bus.pool).add(to: router)
        GoodLinkRoutes(links: GoodLinks(pool: bus.pool), repair: repair).add(to: router)
        PriceRoutes(desk: inquiries, settings: settings).add(to: router)
        ReceiptRoutes(desk: inquiries, settings: settings).add(to: router)
        JournalSeals(pool: bus.pool, verifying: keeper.signing?.verifying).add(to: router)
        ToldMoney(pool: bus.pool).add(to: router)
        MappingTrial(bus: bus, systems: systems).add(to: router)
        LateChanges(pool: bus.pool).add(to: router)
        GoodChanges(pool: bus.pool).add(to: router)
        ReadingAnew(pool: bus.pool, systems: systems).add(to: router)
        bank.add(to: router)
        bankPages.add(to: router)
        handPage.routes.add(to: router)
        handPage.add(to: router)
        goodsPage.add(to: router)
        orderPages.add(to: router)
        JournalAPI(bus: bus, settings: settings).add(to: router)
        pages.add(to: router)
    }

    public var ownReplays: (any OwnReplays)? { ExchangeReplays(pool: bus.pool, repair: repair) }

    public typealias Loop = (name: String, run: @Sendable () async throws -> Void)

    public var loops: [Loop] {
        var loops: [Loop] = [
            ("watching bases", { [bus, bases = settings.bases] in try await BaseHealth.watch(bus, bases) }),
            (
                "watching what stands aside",
                { [bus, bases = settings.bases.map(\.base)] in try await SetAside.watch(bus, bases) }
            ),
            (
                "reading what was left unread",
                { [orderFiles, carried] in
                    while !Task.isCancelled {
                        let isThere = try await orderFiles.readLeft {
                            try await carried.readStored($0, base: $1, exchange: $2)
                        }
                        if isThere { continue }
                        try await Task.sleep(for: .seconds(5))
                    }
                }
            ),
            ("marking whose word counts", { [reports] in try await reports.markAnew() }),
            (
                "asking for all orders anew",
                { [bus, systems] in try await ReadingAnew(pool: bus.pool, systems: systems).watch() }
            ),
            ("keeping the journal", { [keeper] in try await keeper.run() }),
            ("taking catalogs", { [catalogs] in try await catalogs.run() }),
            ("matching payments", { [bus] in try await BankMatching(bus: bus).watch() }),
        ]
        for line in systems {
            loops.append(
                (
                    "giving orders to \(line.base.base)",
                    { [reports] in try await OrderExecutor(line: line, reports: reports).run() }
                ))
            loops.append(
                ("reading clients and goods of \(line.base.base)", { try await MasterDataReader(line: line).run() }))
            loops.append(
                (
                    "reading reports of \(line.base.base)",
                    { [reports] in try await ReportReader(line: line, reports: reports).run() }
                ))
        }
        return loops
    }
}
