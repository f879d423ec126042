import Contracts
import Primitives
import Sodium
import Synchronization

/// Recognises session tokens by crm-core's public key and API keys by their digests. Every service holds one; the
/// signing key is crm-core's alone.
public final class AccessControl: Sendable {
    static let cookie = "throughline_session"
    private let verifying: VerifyingKey
    private let keys: [(digest: [UInt8], caller: Caller)]
    private let revoked = Mutex<Set<ID>>([])

    public init(verifying: VerifyingKey, apiKeys: [SuiteSettings.APIKey]) {
        self.verifying = verifying
        keys = apiKeys.map {
            (
                sha256(Array($0.key.utf8)),
                Caller(
                    kind: .key, name: $0.name, roles: Set($0.roles), channels: Set($0.channels))
            )
        }
    }

    public func revoke(_ session: ID) { revoked.withLock { _ = $0.insert(session) } }

    public func caller(bearer: String, now: Timestamp = .now()) -> Caller? {
        if let token = SessionToken.verify(bearer, verifying), token.expiresAt > now,
            !revoked.withLock({ $0.contains(token.session) })
        {
            return Caller(
                kind: .user(token.user), name: token.name, roles: Set(token.roles),
                sessionID: token.session)
        }
        let digest = sha256(Array(bearer.utf8))
        return keys.first { isEqualInConstantTime($0.digest, digest) }?.caller
    }
}

/// What a session token says; signed with Ed25519, readable by everyone, good until it expires or is revoked.
public struct SessionToken: Codable, Sendable {
    public let session: ID
    public let user: ID
    public let name: String
    public let roles: [String]
    public let expiresAt: Timestamp

    public init(session: ID, user: ID, name: String, roles: [String], expiresAt: Timestamp) {
        self.session = session
        self.user = user
        self.name = name
        self.roles = roles
        self.expiresAt = expiresAt
    }

    private static let prefix = "tl1."

    public func signed(_ key: SigningKey) throws -> String {
        let body = Array(try JSON.encode(self))
        return Self.prefix + base64URL(body) + "." + base64URL(key.sign(body))
    }

    static func verify(_ text: String, _ key: VerifyingKey) -> SessionToken? {
        guard text.hasPrefix(prefix) else { return nil }
        let parts = text.dropFirst(prefix.count).split(separator: ".")
        guard parts.count == 2, let body = fromBase64URL(String(parts[0])),
            let signature = fromBase64URL(String(parts[1])), key.accepts(signature, of: body)
        else { return nil }
        return try? JSON.decode(SessionToken.self, from: body)
    }
}
