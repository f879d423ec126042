import Contracts
import Curl
import HTTPTypes
import Hummingbird
import Primitives
import ServiceKit

/// What other services tell about themselves, asked with the session of the person who looks: for people's eyes only.
struct OtherServices: Sendable {
    /// Service → its HTTP address.
    let addresses: [ServiceIdentity: String]
    private let http = HTTPClient()

    init(addresses: [ServiceIdentity: String]) { self.addresses = addresses }

    struct Away: Error {}

    /// The session of the person who looks.
    static func session(_ request: Request, _ context: ServiceRequestContext) throws -> String {
        guard context.caller?.userID != nil,
            let token = request.cookies[Sessions.cookie]?.value
                ?? request.headers[.authorization].map({ String($0.dropFirst(7)) })
        else { throw LoginRequired() }
        return token
    }

    func get(
        _ service: ServiceIdentity, _ path: String, session: String, seconds: Double = 5
    ) async throws -> (status: Int, json: RawJSON) {
        Self.json(try await send("GET", service, path, nil, session, seconds))
    }

    func post(
        _ service: ServiceIdentity, _ path: String, _ body: RawJSON, session: String, seconds: Double = 30
    ) async throws -> (status: Int, json: RawJSON) {
        Self.json(try await send("POST", service, path, body, session, seconds))
    }

    /// A file as it is.
    func fetch(
        _ service: ServiceIdentity, _ path: String, session: String, seconds: Double
    ) async throws -> HTTPClient.Response { try await send("GET", service, path, nil, session, seconds) }

    private static func json(_ answer: HTTPClient.Response) -> (status: Int, json: RawJSON) {
        (answer.status, (try? JSON.decode(RawJSON.self, from: answer.body)) ?? .null)
    }

    private func send(
        _ method: String, _ service: ServiceIdentity, _ path: String, _ body: RawJSON?, _ session: String,
        _ seconds: Double
    ) async throws -> HTTPClient.Response {
        guard let address = addresses[service] else { throw Away() }
        do {
            return try await http.send(
                .init(
                    method, address + path,
                    headers: [("Authorization", "Bearer \(session)"), ("Content-Type", "application/json")],
                    body: body.map { Array($0.text.utf8) }, timeoutSeconds: seconds))
        } catch { throw Away() }
    }
}

extension RawJSON {
    var items: [RawJSON] { if case .array(let items) = self { items } else { [] } }
    var intValue: Int64? { if case .int(let value) = self { value } else { nil } }
    var doubleValue: Double? {
        switch self {
        case .double(let value): value
        case .int(let value): Double(value)
        default: nil
        }
    }
    /// As a person reads it.
    var words: String {
        switch self {
        case .string(let text): text
        case .null: ""
        default: text
        }
    }
}
