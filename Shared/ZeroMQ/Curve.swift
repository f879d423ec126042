internal import CZeroMQ

/// A CURVE key pair in Z85 text: 40 characters each.
public struct CurveKeys: Sendable, Equatable {
    public let publicKey: String
    public let secretKey: String

    public init(publicKey: String, secretKey: String) {
        self.publicKey = publicKey
        self.secretKey = secretKey
    }

    public static func generate() -> CurveKeys {
        var publicKey = [CChar](repeating: 0, count: 41)
        var secretKey = [CChar](repeating: 0, count: 41)
        precondition(zmq_curve_keypair(&publicKey, &secretKey) == 0, "libzmq lacks CURVE")
        return CurveKeys(publicKey: text(publicKey), secretKey: text(secretKey))
    }

    /// The public key of a secret one; nil when the text is not Z85 of 32 bytes.
    public init?(secretKey: String) {
        guard secretKey.utf8.count == 40 else { return nil }
        var publicKey = [CChar](repeating: 0, count: 41)
        guard zmq_curve_public(&publicKey, secretKey) == 0 else { return nil }
        self.init(publicKey: text(publicKey), secretKey: secretKey)
    }
}

private func text(_ characters: [CChar]) -> String {
    String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// How one socket takes part in CURVE.
public enum Security: Sendable {
    /// No encryption: loopback only.
    case plain
    /// Accepts peers whose keys the ``Authenticator`` knows in `domain`.
    case server(CurveKeys, domain: String)
    /// Connects to the server with this public key.
    case client(CurveKeys, serverKey: String)
}
