import Hummingbird
import Postgres
import Primitives
import ServiceKit

/// How the fetching of shops' orders goes.
struct ShopsAPI: Sendable {
    let pool: PostgresPool
    let shops: [SuiteSettings.Shop]

    private struct ShopView: AnswerShape {
        let name: String
        /// The last try, and the last that brought what there was.
        let triedAt, succeededAt: Timestamp?
        let failure: String?
        /// Tries in a row that came to nothing.
        let failures: Int64
        /// Orders that were new or had changed.
        let orders: Int64
        let pollSeconds: Int64
    }

    func add(to router: Router<ServiceRequestContext>) {
        router.get("/api/v1/shops") { _, context in
            try context.requireReader()
            let known = try await pool.query(
                "SELECT shop, tried_at, succeeded_at, failure, failures, orders FROM shop_state"
            ).reduce(into: [:]) { $0[try $1.string("shop")] = $1 }
            return try Response.json(
                Page(
                    items: try shops.map { shop in
                        let row = known[shop.name]
                        return ShopView(
                            name: shop.name, triedAt: try row?.optionalTime("tried_at"),
                            succeededAt: try row?.optionalTime("succeeded_at"),
                            failure: try row?.optionalString("failure"),
                            failures: try row?.int("failures") ?? 0, orders: try row?.int("orders") ?? 0,
                            pollSeconds: shop.pollSeconds)
                    }, next: nil))
        }
    }
}
