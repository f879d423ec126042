internal import CSodium

/// An Ed25519 key that signs. The seed is the secret: 32 bytes.
public struct SigningKey: Sendable {
    private let secret: [UInt8]
    public let verifying: VerifyingKey

    public init?(seed: [UInt8]) {
        guard seed.count == Int(crypto_sign_SEEDBYTES) else { return nil }
        _ = Library.started
        var publicKey = [UInt8](repeating: 0, count: Int(crypto_sign_PUBLICKEYBYTES))
        var secretKey = [UInt8](repeating: 0, count: Int(crypto_sign_SECRETKEYBYTES))
        guard crypto_sign_seed_keypair(&publicKey, &secretKey, seed) == 0,
            let verifying = VerifyingKey(publicKey)
        else { return nil }
        secret = secretKey
        self.verifying = verifying
    }

    /// 64 bytes.
    public func sign(_ message: [UInt8]) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: Int(crypto_sign_BYTES))
        _ = crypto_sign_detached(&out, nil, message, UInt64(message.count), secret)
        return out
    }
}

/// An Ed25519 public key: 32 bytes.
public struct VerifyingKey: Sendable, Hashable {
    public let bytes: [UInt8]

    public init?(_ bytes: [UInt8]) {
        guard bytes.count == Int(crypto_sign_PUBLICKEYBYTES) else { return nil }
        self.bytes = bytes
    }

    public func accepts(_ signature: [UInt8], of message: [UInt8]) -> Bool {
        _ = Library.started
        guard signature.count == Int(crypto_sign_BYTES) else { return false }
        return crypto_sign_verify_detached(signature, message, UInt64(message.count), bytes) == 0
    }
}
