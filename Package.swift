// swift-tools-version:6.2
import PackageDescription

// Direction: Services → Messaging → Contracts → Primitives. A service never imports another service,
// and each C module is imported by its one wrapper alone.

let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error)
]

let log = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let web = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let mustache = Target.Dependency.product(name: "Mustache", package: "swift-mustache")
let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
]
let http: [Target.Dependency] = [.product(name: "HTTPTypes", package: "swift-http-types")]

/// A C library that comes as a Debian package; only its wrapper may import it.
func cLibrary(_ name: String, package: String, pkgConfig: String? = nil) -> Target {
    .systemLibrary(
        name: name, path: "Shared/\(name)", pkgConfig: pkgConfig, providers: [.apt([package])])
}

func shared(_ name: String, _ dependencies: [Target.Dependency], _ resources: [Resource] = [])
    -> Target
{
    .target(
        name: name, dependencies: dependencies, path: "Shared/\(name)", resources: resources,
        swiftSettings: strict)
}

/// A service is a library, so that tests can compose it with other edges, and a main of few lines.
func service(
    _ executable: String, _ module: String, _ dependencies: [Target.Dependency], embed: [String]
) -> [Target] {
    [
        .target(
            name: module, dependencies: dependencies, path: "Services/\(executable)",
            exclude: ["Main"], resources: embed.map { .embedInCode($0) }, swiftSettings: strict),
        .executableTarget(
            name: "\(module)Main", dependencies: [.target(name: module), "ServiceKit"],
            path: "Services/\(executable)/Main", swiftSettings: strict),
    ]
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(
        name: name, dependencies: dependencies, path: "Tests/\(name)", swiftSettings: strict)
}

let core: [Target.Dependency] =
    [
        "Primitives", "Contracts", "Postgres", "Messaging", "ServiceKit", log, lifecycle, web,
    ] + nio + http

let crmTemplates =
    [
        "layout", "login", "leads", "lead", "deal", "order", "born-order", "born-orders", "talk", "company", "search",
        "connectors", "flow", "replays", "replay", "disputes", "clients", "receipts",
    ]
    .map {
        "Web/Templates/\($0).mustache"
    } + ["Web/Templates/workspace.css"]

let package = Package(
    name: "throughline",
    products: [
        .executable(name: "bot-gateway", targets: ["BotGatewayMain"]),
        .executable(name: "crm-core", targets: ["CRMCoreMain"]),
        .executable(name: "accounting-bridge", targets: ["AccountingBridgeMain"]),
        .executable(name: "bi-aggregator", targets: ["BIAggregatorMain"]),
        .executable(name: "notifier", targets: ["NotifierMain"]),
        .executable(name: "throughline", targets: ["ThroughlineMain"]),
        .executable(name: "demo-world", targets: ["DemoWorld"]),
        .executable(name: "bus-load", targets: ["BusLoad"]),
        .executable(name: "catalog-read", targets: ["CatalogRead"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.1.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        cLibrary("CZeroMQ", package: "libzmq3-dev"),
        cLibrary("CLibPQ", package: "libpq-dev", pkgConfig: "libpq"),
        cLibrary("CSodium", package: "libsodium-dev"),
        cLibrary("CCrypto", package: "libssl-dev"),
        cLibrary("CXML2", package: "libxml2-dev", pkgConfig: "libxml-2.0"),
        cLibrary("CArchive", package: "libarchive-dev"),
        cLibrary("CCurl", package: "libcurl4-openssl-dev"),
        shared("Primitives", []),
        shared("Sodium", ["CCrypto", "CSodium"]),
        shared("Contracts", ["Primitives"]),
        shared("Postgres", ["CLibPQ", "Primitives"]),
        shared("ZeroMQ", ["CZeroMQ"]),
        shared(
            "Messaging", ["Contracts", "Postgres", "Primitives", "Sodium", "ZeroMQ", log],
            [
                .embedInCode("Migrations/V001_bus.sql"), .embedInCode("Migrations/V101_bus_custody.sql"),
                .embedInCode("Migrations/V102_parked_by_event.sql"),
                .embedInCode("Migrations/V103_leaner_log.sql"),
                .embedInCode("Migrations/V104_copies_in_runs.sql"),
                .embedInCode("Migrations/V105_replay_attempts.sql"),
                .embedInCode("Migrations/V106_retaken.sql"),
            ]),
        shared("Curl", ["CCurl"]),
        shared(
            "ServiceKit",
            [
                "Contracts", "Messaging", "Postgres", "Primitives", "Sodium", "ZeroMQ", log, lifecycle,
                metrics, web, .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Yams", package: "Yams"), .product(name: "NIOCore", package: "swift-nio"),
            ] + http,
            [
                .embedInCode("Migrations/V002_identity.sql"), .embedInCode("Migrations/connectors.sql"),
                .embedInCode("OpenAPI/components.yaml"),
                .embedInCode("OpenAPI/paths.yaml"),
            ]),
        shared("XMLStream", ["CXML2"]),
        shared("CommerceML", ["XMLStream"]),
        shared("Archive", ["CArchive"]),
        tests("PrimitivesTests", ["Primitives"]),
        .testTarget(
            name: "ContractsTests", dependencies: ["Contracts"], path: "Tests/ContractsTests", exclude: ["Golden"],
            swiftSettings: strict),
        tests("PostgresTests", ["Postgres", "Primitives"]),
        tests("ZeroMQTests", ["ZeroMQ"]),
        tests("MessagingTests", ["Contracts", "Messaging", "Postgres", "Primitives", "Sodium", "ZeroMQ", log]),
        tests("BotGatewayTests", ["BotGateway", "Primitives", "ServiceKit"]),
        tests("CRMCoreTests", ["Contracts", "CRMCore", "Primitives"]),
        tests(
            "AccountingBridgeTests", ["AccountingBridge", "CommerceML", "Contracts", "Curl", "Primitives", "XMLStream"]),
        .executableTarget(
            name: "ThroughlineMain",
            dependencies: [
                "Contracts", "Curl", "Messaging", "Postgres", "Primitives", "ServiceKit", "Sodium", "ZeroMQ",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], path: "Services/throughline", swiftSettings: strict),
        .executableTarget(
            name: "BusLoad",
            dependencies: [
                "Contracts", "Messaging", "Postgres", "Primitives", "Sodium", "ZeroMQ", log,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], path: "deploy/measure/bus-load", swiftSettings: strict),
        .executableTarget(
            name: "CatalogRead", dependencies: ["AccountingBridge"], path: "deploy/measure/catalog-read",
            swiftSettings: strict),
        .executableTarget(
            name: "DemoWorld",
            dependencies: ["Contracts", "Curl", "Primitives", "ServiceKit", "Sodium", log, web] + nio + http,
            path: "deploy/demo-world", exclude: ["onec", "shop.py"], swiftSettings: strict),
    ]
        + service(
            "bot-gateway", "BotGateway", core + ["CommerceML", "Curl", "Sodium", "XMLStream"],
            embed: [
                "Migrations/V003_gateway.sql", "Migrations/V004_shops.sql", "Migrations/V006_old_traffic.sql",
                "Migrations/V007_replies_by_chat.sql",
                "App/openapi.yaml",
            ])
        + service(
            "crm-core", "CRMCore", core + ["Curl", "Sodium", mustache],
            embed: [
                "Migrations/V003_crm.sql", "Migrations/V004_document_per_order.sql", "Migrations/V005_due_dates.sql",
                "Migrations/V006_order_flags.sql", "Migrations/V007_identity.sql", "Migrations/V008_cost.sql",
                "Migrations/V009_authority.sql", "Migrations/V010_ownership.sql",
                "Migrations/V011_order_changes.sql",
                "Migrations/V012_invoices.sql", "Migrations/V013_born_in_1c.sql",
                "Migrations/V014_payment_of_deals.sql", "Migrations/V015_who_named_it.sql",
                "Migrations/V016_whose_clients.sql", "Migrations/V017_touched.sql", "App/openapi.yaml",
            ]
                + crmTemplates)
        + service(
            "accounting-bridge", "AccountingBridge",
            core + [
                "Archive", "CommerceML", "Curl", .product(name: "Yams", package: "Yams"), "Sodium", "XMLStream",
                mustache,
            ],
            embed: [
                "Migrations/V003_bridge.sql", "Migrations/V004_bank.sql", "Migrations/V005_catalog.sql",
                "Migrations/V006_repair.sql",
                "Migrations/V007_order_truth.sql", "Migrations/V008_systems.sql",
                "Migrations/V009_journal.sql", "Migrations/V010_exchange_plans.sql",
                "Migrations/V011_journal_search.sql", "Migrations/V012_set_aside.sql",
                "Migrations/V013_authority.sql", "Migrations/V014_asked_anew.sql",
                "Migrations/V015_what_was_before.sql",
                "Migrations/V016_bookings_and_numbers.sql", "Migrations/V017_claim_photos.sql",
                "Migrations/V018_words_of_people.sql", "Migrations/V019_born_in_1c.sql",
                "Migrations/V020_who_changed_it.sql",
                "Migrations/V021_goods_by_odata.sql",
                "App/openapi.yaml", "Mappings/ut11.yaml", "Mappings/ut114.yaml", "Mappings/unf.yaml",
                "Mappings/bp3.yaml",
                "Web/Templates/journal.mustache",
                "Web/Templates/exchange.mustache", "Web/Templates/bank.mustache", "Web/Templates/order.mustache",
                "Web/Templates/goods.mustache", "Web/Templates/hand.mustache",
            ])
        + service(
            "bi-aggregator", "BIAggregator", core + ["ZeroMQ", mustache],
            embed: [
                "Migrations/V003_bi.sql", "Migrations/V004_money_by_order.sql",
                "Migrations/V005_order_of_numbers.sql", "App/openapi.yaml",
                "Web/Templates/dashboard.mustache",
            ])
        + service(
            "notifier", "Notifier", core + ["Curl", "Sodium", mustache],
            embed: [
                "Migrations/V003_notifier.sql", "App/openapi.yaml", "App/Templates/new_lead.mustache",
                "App/Templates/payment_received.mustache", "App/Templates/exchange_failing.mustache",
                "App/Templates/exchange_set_aside.mustache",
            ])
)
