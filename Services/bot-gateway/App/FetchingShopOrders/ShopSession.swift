import CommerceML
import Curl
import Primitives
import ServiceKit
import Sodium
import XMLStream

/// One session with a shop that expects 1C: `checkauth`, `init`, `query`, and `success` once what it has told is kept (reference a.1, a.6). The shop gives its orders
/// again until then.
struct ShopSession {
    let shop: SuiteSettings.Shop
    let http: HTTPClient
    private var cookie: String?
    private var tail = ""

    /// Bytes of one answer at most.
    static let answerLimit = 64 * 1024 * 1024

    /// Why a shop's orders were not fetched, in words.
    struct Failure: Error, CustomStringConvertible { let description: String }

    init(_ shop: SuiteSettings.Shop, _ http: HTTPClient) { (self.shop, self.http) = (shop, http) }

    /// - Returns: what the shop tells, as it came; nil when it has nothing.
    mutating func query() async throws -> [UInt8]? {
        let lines = try text(try await ask("checkauth")).split(whereSeparator: \.isNewline).map {
            String($0).trimmed
        }
        guard lines.first?.lowercased() == "success", lines.count >= 3 else {
            throw Failure(description: "магазин не пускает нас: \(lines.prefix(3).joined(separator: " ").prefix(200))")
        }
        cookie = "\(lines[1])=\(lines[2])"
        if let token = lines.dropFirst(3).first(where: { $0.hasPrefix("sessid=") }) { tail = "&\(token)" }
        _ = try await ask("init")
        let bytes = try await ask("query")
        return bytes.contains { $0 > 0x20 } ? bytes : nil
    }

    /// All that was told is kept: the shop gives it no more.
    func confirm() async throws {
        let word = try text(try await ask("success")).trimmed
        // Many answer with an empty page.
        guard !word.lowercased().hasPrefix("failure") else {
            throw Failure(description: "магазин не принял подтверждение: \(word.prefix(200))")
        }
    }

    private func text(_ bytes: [UInt8]) throws -> String {
        guard
            let text = String(
                validating: bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes[3...] : bytes[...], as: UTF8.self)
        else { throw Failure(description: "ответ магазина не читается") }
        return text
    }

    private func ask(_ mode: String) async throws -> [UInt8] {
        var headers = [
            ("Authorization", "Basic \(base64(Array("\(shop.login):\(shop.password)".utf8)))"),
            ("User-Agent", "1C+Enterprise/8.3"),
        ]
        if let cookie { headers.append(("Cookie", cookie)) }
        let mark = shop.url.contains("?") ? "&" : "?"
        let answer: HTTPClient.Response
        do {
            answer = try await http.send(
                .init("GET", "\(shop.url)\(mark)type=sale&mode=\(mode)\(tail)", headers: headers, timeoutSeconds: 120))
        } catch let failure as HTTPClient.Failure {
            throw Failure(description: "магазин не отвечает (\(failure.description))")
        }
        guard answer.status == 200 else { throw Failure(description: "магазин ответил \(answer.status) на \(mode)") }
        return answer.body
    }
}
