import Contracts
import Hummingbird
import Logging
import NIOCore
import Primitives

/// What the demo company sells: the catalogs of its bases, and the service of 1C that tells prices (`deploy/docs/inquiries.md`).
struct DemoGoods: Sendable {
    struct Good: Sendable { let name, article, price, stock: String }

    static let all = [
        Good(name: "Станок токарный ТВ-16", article: "TV-16", price: "450000.00", stock: "2"),
        Good(name: "Станок фрезерный СФ-676", article: "SF-676", price: "890000.00", stock: "1"),
        Good(name: "Фреза концевая 12 мм", article: "FR-12", price: "1250.50", stock: "140"),
        Good(name: "Резец проходной 25×25", article: "RZ-25", price: "640.00", stock: "85"),
    ]
    /// Every client of the demo has bought for so much, and has this discount for it.
    private static let discount = (percent: Int64(3), next: "5", remaining: "120000.00")

    let port: Int

    func run() async throws {
        let router = Router()
        router.post("/hs/throughline/:question") { request, context in
            let body = try await request.body.collect(upTo: 1 << 20)
            let fields = (try? JSON.decode(RawJSON.self, from: body.readableBytesView)) ?? .null
            let answer: RawJSON =
                switch try context.parameters.require("question") {
                case "prices": Self.prices(fields)
                case "receipts": .object(["receipts": .array([])])
                default: .object(["error": .string("в демонстрации касса чеков не печатает")])
                }
            return Response(
                status: .ok, headers: [.contentType: "application/json"],
                body: .init(byteBuffer: ByteBuffer(string: answer.text)))
        }
        var log = Logger(label: "1c")
        log.logLevel = .error
        try await Application(
            router: router, configuration: .init(address: .hostname("127.0.0.1", port: port)), logger: log
        ).run()
    }

    private static func prices(_ question: RawJSON) -> RawJSON {
        guard case .array(let lines)? = question["lines"] else { return .object(["error": .string("нет строк")]) }
        return .object([
            "lines": .array(
                lines.map { line in
                    let article = line["sku"]?.stringValue ?? ""
                    guard let good = all.first(where: { $0.article.lowercased() == article.lowercased() }),
                        let price = Money(good.price, .rub)
                    else {
                        let known = all.map(\.article).joined(separator: ", ")
                        return .object([
                            "sku": .string(article),
                            "refused": .string("нет цены на этот товар; в демонстрации есть \(known)"),
                        ])
                    }
                    let own = Money(minor: price.minor - price.minor * discount.percent / 100, currency: .rub)
                    return .object([
                        "sku": .string(article), "price": .string(own.amount), "listPrice": .string(good.price),
                        "discountPercent": .string("\(discount.percent)"), "discountName": .string("накопительная"),
                    ])
                }),
            "nextDiscount": .object([
                "percent": .string(discount.next), "remaining": .string(discount.remaining),
            ]),
        ])
    }
}
