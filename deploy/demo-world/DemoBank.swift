import Contracts
import Primitives
import ServiceKit

/// The bank of the legal entity whose base tells no partial payments, and the accountant who loads its statement after each payment. Now and
/// then somebody pays without a number or an order, and that waits for her.
actor DemoBank {
    private let suite: SuiteAPI
    private var token: String?
    private var lines: [String] = []
    private var received: Int64 = 0
    private var number = 100

    private static let account = "40702810500000000042"

    init(suite: SuiteAPI) { self.suite = suite }

    func pay(_ sum: Money, purpose: String) async {
        number += 1
        received += sum.minor
        let day = Self.day()
        lines.append(
            "СекцияДокумент=Платежное поручение\r\nНомер=\(number)\r\nДата=\(day)\r\nСумма=\(sum.amount)\r\n"
                + "ПлательщикСчет=40702810900000000009\r\nДатаПоступило=\(day)\r\nПлательщик1=Клиент \(number)\r\n"
                + "ПолучательСчет=\(Self.account)\r\nНазначениеПлатежа=\(purpose)\r\nКонецДокумента\r\n")
        try? await load(day)
    }

    private static func day() -> String { HumanText.day(String(Timestamp.now().day)) }

    private func load(_ day: String) async throws {
        if token == nil {
            token = try await suite.call(
                .crmCore, "POST", "/api/v1/sessions", token: nil,
                .object(["login": .string("buh"), "password": .string(DemoCompany.password)])
            ).text("token")
        }
        let total = Money(minor: received, currency: .rub).amount
        let file =
            "1CClientBankExchange\r\nВерсияФормата=1.03\r\nКодировка=Windows\r\nОтправитель=Демо-банк\r\n"
            + "СекцияРасчСчет\r\nДатаНачала=\(day)\r\nДатаКонца=\(day)\r\nРасчСчет=\(Self.account)\r\n"
            + "ВсегоПоступило=\(total)\r\nВсегоСписано=0.00\r\nКонецРасчСчет\r\n" + lines.joined() + "КонецФайла\r\n"
        _ = try await suite.http.send(
            .init(
                "POST", suite.url(.accountingBridge) + "/api/v1/bank-statements",
                headers: [("Authorization", "Bearer \(token ?? "")"), ("Content-Type", "text/plain")],
                body: Array(file.utf8), timeoutSeconds: 20))
    }
}
