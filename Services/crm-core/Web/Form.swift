import Hummingbird
import Primitives
import ServiceKit

/// The fields of a submitted form.
struct Form: Sendable {
    private let fields: [String: String]

    private static let bodyLimit = 64 * 1024

    init(_ request: Request) async throws {
        let bytes = try await request.bytes(limit: Self.bodyLimit)
        var fields: [String: String] = [:]
        for pair in String(decoding: bytes, as: UTF8.self).split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            fields[Self.decode(parts[0])] = parts.count > 1 ? Self.decode(parts[1]) : ""
        }
        self.fields = fields
    }

    subscript(name: String) -> String? { fields[name] }

    /// A filled field; nil when it is empty or absent.
    func filled(_ name: String) -> String? { fields[name].flatMap { $0.isEmpty ? nil : $0 } }

    /// A number as people type it: `1 500,50`.
    func number(_ name: String) -> String {
        String((fields[name] ?? "").compactMap { $0.isWhitespace ? nil : $0 == "," ? "." : $0 })
    }

    func money(_ name: String, _ currency: Currency) throws -> Money? {
        let text = number(name)
        if text.isEmpty { return nil }
        guard let money = Money(text, currency) else { throw Problem.invalid("сумма — число, например 45000,00") }
        return money
    }

    private static func decode(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "+"): bytes.append(32)
            case UInt8(ascii: "%"):
                let pair = String(decoding: rest.prefix(2), as: UTF8.self)
                guard let value = UInt8(pair, radix: 16) else { continue }
                bytes.append(value)
                rest = rest.dropFirst(2)
            default: bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
