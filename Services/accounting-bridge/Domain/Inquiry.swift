import Contracts
import Primitives

/// What an accounting system is asked and answers at once, beside the exchange of documents (`deploy/docs/inquiries.md`). A question changes nothing
/// there: whatever became of it, it may be asked again.
struct Inquiry: Sendable {
    enum Kind: String, Sendable {
        /// What goods cost a client, by the system's own rules for prices and discounts.
        case prices
        /// Receipts that it has printed for a booking or an order.
        case receipts
        /// One of them as it was printed.
        case print
    }
    let kind: Kind
    let key = ID.make()
    let body: RawJSON

    /// Bytes of an answer at most.
    static let answerLimit = 8 * 1024 * 1024
}

/// An answer as it came.
struct InquiryAnswer: Sendable {
    let bytes: [UInt8]
    /// What the system calls it, such as `application/pdf`; nil of a file.
    let type: String?

    /// The system's own words for why it refuses, where the answer is a refusal.
    var refusal: String? {
        guard let error = (try? object())?["error"]?.plainText else { return nil }
        return String(error.prefix(500)).nonEmpty ?? "система отказала без объяснения"
    }

    /// The fields of an answer in JSON.
    ///
    /// - Throws: ``DriverFailure/refused(_:)`` with the system's own words, when it refuses, or with what is wrong with its answer.
    func fields() throws -> [String: RawJSON] {
        if let refusal { throw DriverFailure.refused(refusal) }
        return try object()
    }

    private func object() throws -> [String: RawJSON] {
        let body = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes[3...] : bytes[...]
        guard case .object(let fields)? = try? JSON.decode(RawJSON.self, from: body) else {
            throw DriverFailure.refused("ответ системы — не объект JSON")
        }
        return fields
    }
}

/// Reads one object of an answer; every refusal names the place.
struct InquiryFields {
    let fields: [String: RawJSON]
    let place: String

    init(_ raw: RawJSON, _ place: String) throws {
        guard case .object(let fields) = raw else { throw DriverFailure.refused("\(place): должен быть объект") }
        (self.fields, self.place) = (fields, place)
    }

    func text(_ key: String, limit: Int = 200) throws -> String? {
        guard let value = fields[key], value != .null else { return nil }
        guard let text = value.plainText, text.count <= limit else {
            throw DriverFailure.refused(
                "\(place): поле \(key) — текст, не больше \(limit) знаков, суммы тоже (\"100.00\")")
        }
        return text.nonEmpty
    }

    func demanded(_ key: String, limit: Int = 200) throws -> String {
        guard let text = try text(key, limit: limit) else { throw DriverFailure.refused("\(place): нет поля \(key)") }
        return text
    }

    func quantity(_ key: String) throws -> Quantity? {
        guard let text = try text(key) else { return nil }
        guard let value = Quantity(text), value >= Quantity(tenThousandths: 0) else {
            throw DriverFailure.refused("\(place): «\(text)» (\(key)) — не число от нуля с четырьмя знаками")
        }
        return value
    }

    func money(_ key: String, _ currency: Currency) throws -> Money? {
        guard let text = try text(key) else { return nil }
        guard let money = OrderReport.money(text, currency), money.minor >= 0 else {
            throw DriverFailure.refused("\(place): сумма «\(text)» (\(key)) не читается")
        }
        return money
    }
}
