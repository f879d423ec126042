import Contracts
import Curl
import FoundationEssentials
import Primitives
import ServiceKit

/// Asks the running services over HTTP, as the operator: who may read the data folder may sign a session.
struct SuiteClient: Sendable {
    /// Nil: where the environment says that each service is.
    let host: String?
    let portBase: Int
    var token: String?

    init(host: String? = nil, portBase: Int, data: String? = nil) throws {
        self.init(host: host, portBase: portBase)
        guard let data else { return }
        let session = SessionToken(
            session: .make(), user: .make(), name: "operator", roles: ["admin"],
            expiresAt: Timestamp.now().adding(seconds: 300))
        token = try session.signed(try KeyFolder(data: absolute(data)).signingKey())
    }

    init(host: String?, portBase: Int) {
        self.host = host
        self.portBase = portBase
    }

    /// Where the settings put the services of this host.
    private static let ownHost: String = {
        let environment = ProcessInfo.processInfo.environment
        // As every command takes it.
        let words = CommandLine.arguments
        let named =
            words.firstIndex(of: "--config").flatMap { words.indices.contains($0 + 1) ? words[$0 + 1] : nil }
            ?? words.first { $0.hasPrefix("--config=") }.map { String($0.dropFirst("--config=".count)) }
        let file = named ?? environment["THROUGHLINE_CONFIG"]
        let settings = try? SuiteSettings.load(file: file, environment: environment)
        return settings?.reachableHost ?? "127.0.0.1"
    }()

    func get(_ service: ServiceIdentity, _ path: String) async throws -> (status: Int, json: RawJSON) {
        try await send("GET", service, path, nil)
    }

    func post(_ service: ServiceIdentity, _ path: String, _ body: RawJSON = .object([:])) async throws -> (
        status: Int, json: RawJSON
    ) { try await send("POST", service, path, body) }

    private func send(_ method: String, _ service: ServiceIdentity, _ path: String, _ body: RawJSON?) async throws -> (
        status: Int, json: RawJSON
    ) {
        var headers = token.map { [("Authorization", "Bearer \($0)")] } ?? []
        if body != nil { headers.append(("Content-Type", "application/json")) }
        let host = host ?? service.namedHosts(ProcessInfo.processInfo.environment)?.first ?? Self.ownHost
        let answer = try await HTTPClient().send(
            .init(
                method, "http://\(host):\(service.httpPort(base: portBase))\(path)", headers: headers,
                body: body.map { Array($0.text.utf8) }, timeoutSeconds: method == "GET" ? 5 : 60))
        return (answer.status, (try? JSON.decode(RawJSON.self, from: answer.body)) ?? .null)
    }

    func allReady() async -> Bool {
        for service in ServiceIdentity.allCases {
            guard let answer = try? await get(service, "/readyz"), answer.status == 200 else { return false }
        }
        return true
    }
}

extension RawJSON {
    var list: [RawJSON] { if case .array(let items) = self { items } else { [] } }
    var words: String {
        switch self {
        case .string(let text): text
        case .int(let value): String(value)
        case .double(let value): String(value)
        case .bool(let value): value ? "yes" : "no"
        case .null: "—"
        default: text
        }
    }
}
