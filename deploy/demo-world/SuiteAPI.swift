import Contracts
import Curl
import Primitives
import ServiceKit

/// The suite as its users reach it.
struct SuiteAPI: Sendable {
    let portBase: Int
    let http = HTTPClient()

    func url(_ service: ServiceIdentity) -> String { "http://127.0.0.1:\(service.httpPort(base: portBase))" }

    func isReady() async -> Bool {
        for service in ServiceIdentity.allCases {
            let answer = try? await http.send(.init("GET", url(service) + "/readyz", timeoutSeconds: 2))
            if answer?.status != 200 { return false }
        }
        return true
    }

    func call(
        _ service: ServiceIdentity, _ method: String, _ path: String, token: String?, _ body: RawJSON? = nil,
        key: String? = nil
    ) async throws -> RawJSON {
        var headers = [("Content-Type", "application/json")]
        if let token { headers.append(("Authorization", "Bearer \(token)")) }
        if let key { headers.append(("Idempotency-Key", key)) }
        let answer = try await http.send(
            .init(
                method, url(service) + path, headers: headers, body: body.map { Array($0.text.utf8) },
                timeoutSeconds: 20))
        guard (200..<300).contains(answer.status) else { throw Refused(status: answer.status) }
        return (try? JSON.decode(RawJSON.self, from: answer.body)) ?? .null
    }

    struct Refused: Error { let status: Int }
}

extension RawJSON {
    var items: [RawJSON] { if case .array(let items)? = self["items"] { items } else { [] } }
    func text(_ key: String) -> String? { self[key]?.stringValue }
}
