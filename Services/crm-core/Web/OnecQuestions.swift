import Contracts
import Hummingbird
import NIOCore
import Primitives
import ServiceKit

/// What 1C is asked for a person who waits for the answer: the price of a good, and receipts of an order.
struct OnecQuestions: Sendable {
    let others: OtherServices

    /// Seconds for which a person waits: the bridge says itself that the base did not answer before.
    private static let patience = 70.0

    // MARK: prices

    /// Fields of an order's form with the price that 1C has named, or why it has not.
    func price(
        of form: Form, for client: Counterparty?, organization: String, currency: Currency, session: String,
        _ language: Language
    ) async throws -> [String: Any] {
        var fields: [String: Any] = [
            "sku": form["sku"] ?? "", "itemName": form["name"] ?? "", "quantity": form["quantity"] ?? "1",
            "booking": form["booking"] ?? "", "price": form["price"] ?? "",
            "orderKinds": Self.kinds(chosen: form["kind"], language),
        ]
        guard let sku = form.filled("sku") else {
            fields["priceError"] = ScreenTexts.word("priceNeedsSku", language)
            return fields
        }
        let question = RawJSON.object([
            "organization": .string(organization), "currency": .string(currency.code),
            "client": client.map { Self.client($0) } ?? .null,
            "lines": .array([.object(["sku": .string(sku), "quantity": .string(form.number("quantity"))])]),
        ])
        do {
            let answer = try await others.post(
                .accountingBridge, "/api/v1/prices", question, session: session, seconds: Self.patience)
            guard answer.status == 200, let line = answer.json["lines"]?.items.first else {
                fields["priceError"] = answer.json["detail"]?.words ?? ScreenTexts.word("sectionAway", language)
                return fields
            }
            fields.merge(Self.quote(line, answer.json, currency, language)) { $1 }
        } catch is OtherServices.Away { fields["priceError"] = ScreenTexts.word("sectionAway", language) }
        return fields
    }

    /// The kinds of orders that a form offers.
    static func kinds(chosen: String?, _ language: Language) -> [[String: Any]] {
        StateWords.orderKinds.map {
            ["key": $0, "value": StateWords.orderKind($0, language), "isChosen": $0 == chosen]
        }
    }

    private static func client(_ client: Counterparty) -> RawJSON {
        .object([
            "id": .string(client.id.description), "name": .string(client.name),
            "inn": client.inn.map { .string($0) } ?? .null, "kpp": client.kpp.map { .string($0) } ?? .null,
        ])
    }

    private static func quote(
        _ line: RawJSON, _ answer: RawJSON, _ currency: Currency, _ language: Language
    ) -> [String: Any] {
        guard let price = line["price"]?.stringValue else {
            return ["priceError": line["priceUnknown"]?.words ?? ScreenTexts.word("priceUnknown", language)]
        }
        func money(_ text: String?) -> String {
            // A price may have more places than money has.
            text.map { HumanText.money(Money($0, currency)?.amount ?? $0, currency.code, language) } ?? ""
        }
        let discount = line["discountPercent"]?.stringValue.map { "\($0) %" }
        let next = answer["nextDiscount"]
        return [
            "price": price, "quoted": money(price), "listPrice": money(line["listPrice"]?.stringValue),
            "discount": [discount, line["discountName"]?.stringValue].compactMap { $0 }.joined(separator: ", "),
            "nextRemaining": money(next?["remaining"]?["amount"]?.stringValue),
            "nextPercent": next?["percent"]?.stringValue ?? "",
            "priceExchange": answer["exchangeId"]?.words ?? "", "priceBase": answer["base"]?.words ?? "",
        ]
    }

    // MARK: receipts

    /// Fields of the page with an order's receipts.
    func receipts(of order: OrderView, session: String, _ language: Language) async throws -> [String: Any] {
        var fields: [String: Any] = [
            "id": order.id.description, "number": order.number, "bookingId": order.bookingId ?? "",
        ]
        let answer: (status: Int, json: RawJSON)
        do {
            answer = try await others.get(
                .accountingBridge, "/api/v1/receipts?order=\(order.number)", session: session, seconds: Self.patience)
        } catch is OtherServices.Away {
            fields["error"] = ScreenTexts.word("sectionAway", language)
            return fields
        }
        guard answer.status == 200 else {
            fields["error"] = answer.json["detail"]?.words ?? ScreenTexts.word("sectionAway", language)
            return fields
        }
        let items = answer.json["items"]?.items ?? []
        fields["receipts"] = items.map { Self.receipt($0, language) }
        fields["unasked"] = (answer.json["unasked"]?.items ?? []).map { ["why": $0["reason"]?.words ?? ""] }
        fields["isEmpty"] = items.isEmpty && answer.json["unasked"]?.items.isEmpty != false
        return fields
    }

    private static func receipt(_ receipt: RawJSON, _ language: Language) -> [String: Any] {
        let amount = receipt["amount"]
        let fiscal = [("ФН", "fiscalDrive"), ("ФД", "fiscalDocument"), ("ФПД", "fiscalSign")].compactMap { name, key in
            receipt[key]?.stringValue.map { "\(name) \($0)" }
        }
        return [
            "receiptId": Form.encoded(receipt["id"]?.words ?? ""), "base": receipt["base"]?.words ?? "",
            "kind": ScreenTexts.word("receipt.\(receipt["kind"]?.words ?? "sale")", language),
            "receiptNumber": receipt["number"]?.words ?? "", "shift": receipt["shift"]?.words ?? "",
            "at": receipt["at"]?.stringValue.flatMap { Timestamp($0) }.map { LocalTime.text($0) } ?? "",
            "sum": HumanText.money(amount?["amount"]?.words ?? "", amount?["currency"]?.words ?? "", language),
            "method": receipt["method"]?.words ?? "", "fiscal": fiscal.joined(separator: " · "),
        ]
    }

    /// A receipt of an order as 1C prints it. Whoever sees the order sees its receipts, and no others.
    func print(_ receipt: String, of base: String, order: OrderView, session: String) async throws -> Response {
        let known = try await others.get(
            .accountingBridge, "/api/v1/receipts?order=\(order.number)", session: session, seconds: Self.patience)
        try FlowPages.expect(known)
        let isIts = known.json["items"]?.items.contains {
            $0["id"]?.stringValue == receipt && $0["base"]?.stringValue == base
        }
        if let away = known.json["unasked"]?.items.first(where: { $0["base"]?.stringValue == base }) {
            throw Problem(.serviceUnavailable, "base-away", "The base does not answer", detail: away["reason"]?.words)
        }
        guard isIts == true else { throw Problem.notFound("receipt") }
        let path = "/api/v1/receipts/\(Form.encoded(base))/\(Form.encoded(receipt))/print"
        let answer = try await others.fetch(.accountingBridge, path, session: session, seconds: Self.patience)
        guard answer.status == 200 else {
            let problem = (try? JSON.decode(RawJSON.self, from: answer.body)) ?? .null
            try FlowPages.expect((answer.status, problem))
            throw Problem.notFound("receipt")
        }
        return Response(
            status: .ok,
            headers: [
                .contentType: answer.header("content-type") ?? "application/octet-stream",
                .contentDisposition: answer.header("content-disposition") ?? "attachment",
                .xContentTypeOptions: "nosniff",
                .cacheControl: "no-store",
            ], body: .init(byteBuffer: ByteBuffer(bytes: answer.body)))
    }
}
