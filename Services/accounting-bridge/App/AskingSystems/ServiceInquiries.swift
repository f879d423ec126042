import Contracts
import Curl
import Primitives
import ServiceKit
import Sodium

/// Questions to an HTTP service that a base publishes (reference d.1): a POST for each, and a session of 1C's that lasts as long as it.
struct ServiceInquiries: InquiryChannel {
    private let settings: SuiteSettings.Inquiries
    private let authorization: String
    private let http = HTTPClient(bodyLimit: Inquiry.answerLimit)

    init(_ settings: SuiteSettings.Inquiries) {
        self.settings = settings
        authorization = "Basic \(base64(Array("\(settings.login):\(settings.password)".utf8)))"
    }

    func ask<Value: Sendable>(
        _ inquiry: Inquiry, _ wire: ExchangeWire, understand: @Sendable (InquiryAnswer) throws -> (Value, [String])
    ) async throws -> (value: Value, exchange: ID) {
        let request = HTTPClient.Request(
            "POST", "\(settings.url)/\(inquiry.kind.rawValue)",
            headers: [
                ("Authorization", authorization), ("Content-Type", "application/json; charset=utf-8"),
                ("Accept", inquiry.kind == .print ? "application/pdf, image/png" : "application/json"),
            ], body: Array(inquiry.body.text.utf8), timeoutSeconds: Double(settings.timeoutSeconds))
        do {
            return try await wire.call("inquiry.\(inquiry.kind.rawValue)", request, http) { response in
                try Self.judge(response)
                let answer = InquiryAnswer(bytes: response.body, type: response.header("content-type"))
                let (value, understood) = try understand(answer)
                return (value, understood: understood)
            }
        } catch DriverFailure.doubtful(let why) { throw DriverFailure.away(why) }
    }

    /// Statuses that the log-in or a gateway before the service answers with.
    private static let gateways = [401, 403, 429, 502, 503, 504]

    /// Its own refusal is JSON with `error`; anything else that is no success is an outage or a wrong setting.
    private static func judge(_ response: HTTPClient.Response) throws {
        let type = response.header("content-type")?.lowercased() ?? ""
        let text = String(decoding: response.body.prefix(4000), as: UTF8.self)
        if text.contains("свободной лицензии") { throw DriverFailure.away("в 1С нет свободной лицензии") }
        if type.contains("html") { throw DriverFailure.away("вместо ответа пришла страница HTML (\(response.status))") }
        // Its own words: 1C's services like to refuse with 500. What a gateway before it, or its log-in, says is no refusal.
        if response.status >= 400, type.contains("json"), !gateways.contains(response.status),
            let refusal = InquiryAnswer(bytes: response.body, type: type).refusal
        {
            throw DriverFailure.refused(refusal)
        }
        switch response.status {
        case 200..<300: return
        case 401, 403: throw DriverFailure.unfit(["1С не пускает нас (\(response.status)): логин, пароль или права"])
        case 404 where !type.contains("json"):
            throw DriverFailure.unfit(["по этому адресу нет сервиса вопросов (404)"])
        case 400..<500 where type.contains("json"): throw DriverFailure.refused("1С отказала (\(response.status))")
        default: throw DriverFailure.away("1С ответила \(response.status)")
        }
    }
}
