internal import CCrypto
internal import CSodium

/// libsodium must be started once before anything else; done on first use.
enum Library {
    static let started: Void = { precondition(sodium_init() >= 0, "libsodium did not start") }()
}

/// SHA-256 of the bytes: 32 bytes.
///
/// By libcrypto, which uses the processor's own instructions and is five times as fast at it as libsodium: every event is
/// hashed four times on its way.
public func sha256(_ bytes: some Collection<UInt8>) -> [UInt8] {
    let input = Array(bytes)
    return [UInt8](unsafeUninitializedCapacity: 32) { out, count in
        let context = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(context) }
        precondition(
            EVP_DigestInit_ex2(context, SHA256.algorithm, nil) == 1
                && EVP_DigestUpdate(context, input, input.count) == 1
                && EVP_DigestFinal_ex(context, out.baseAddress, nil) == 1, "libcrypto did not hash")
        count = 32
    }
}

private enum SHA256 {
    /// Looked up once; libcrypto's algorithms are immutable and may be used by any thread.
    nonisolated(unsafe) static let algorithm: OpaquePointer = {
        guard let algorithm = EVP_MD_fetch(nil, "SHA256", nil) else { preconditionFailure("libcrypto has no SHA-256") }
        return algorithm
    }()
}

/// HMAC-SHA-256, 32 bytes; the key may have any length (RFC 2104).
public func hmacSHA256(key: [UInt8], _ message: [UInt8]) -> [UInt8] {
    _ = Library.started
    var state = crypto_auth_hmacsha256_state()
    var out = [UInt8](repeating: 0, count: Int(crypto_auth_hmacsha256_BYTES))
    _ = crypto_auth_hmacsha256_init(&state, key, key.count)
    _ = crypto_auth_hmacsha256_update(&state, message, UInt64(message.count))
    _ = crypto_auth_hmacsha256_final(&state, &out)
    return out
}

/// Compares secrets in a time that does not tell where they differ.
public func isEqualInConstantTime(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    let (a, b) = (sha256(left), sha256(right))
    return sodium_memcmp(a, b, a.count) == 0
}

public func randomBytes(_ count: Int) -> [UInt8] {
    _ = Library.started
    var out = [UInt8](repeating: 0, count: count)
    randombytes_buf(&out, count)
    return out
}

public func hex(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var out: [UInt8] = []
    for byte in bytes {
        out.append(digits[Int(byte >> 4)])
        out.append(digits[Int(byte & 15)])
    }
    return String(decoding: out, as: UTF8.self)
}

/// Nil when the text is not pairs of hexadecimal digits.
public func unhex(_ text: some StringProtocol) -> [UInt8]? {
    let bytes = Array(text.utf8)
    guard bytes.count.isMultiple(of: 2) else { return nil }
    var out: [UInt8] = []
    out.reserveCapacity(bytes.count / 2)
    for index in stride(from: 0, to: bytes.count, by: 2) {
        guard let high = Character(Unicode.Scalar(bytes[index])).hexDigitValue,
            let low = Character(Unicode.Scalar(bytes[index + 1])).hexDigitValue
        else { return nil }
        out.append(UInt8(high << 4 | low))
    }
    return out
}

/// URL-safe base64 without padding (RFC 4648 §5).
public func base64URL(_ bytes: [UInt8]) -> String {
    let variant = sodium_base64_VARIANT_URLSAFE_NO_PADDING
    var out = [CChar](
        repeating: 0, count: sodium_base64_encoded_len(bytes.count, variant))
    sodium_bin2base64(&out, out.count, bytes, bytes.count, variant)
    return String(decoding: out.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

public func fromBase64URL(_ text: String) -> [UInt8]? {
    fromBase64(text, variant: sodium_base64_VARIANT_URLSAFE_NO_PADDING)
}

/// Standard base64 with padding, as HTTP Basic credentials use it.
public func fromBase64(_ text: String) -> [UInt8]? {
    fromBase64(text, variant: sodium_base64_VARIANT_ORIGINAL)
}

private func fromBase64(_ text: String, variant: Int32) -> [UInt8]? {
    var out = [UInt8](repeating: 0, count: text.utf8.count)
    var length = 0
    guard
        sodium_base642bin(
            &out, out.count, text, text.utf8.count, nil, &length, nil, variant) == 0
    else { return nil }
    return Array(out.prefix(length))
}

/// Standard base64 with padding.
public func base64(_ bytes: [UInt8]) -> String {
    let variant = sodium_base64_VARIANT_ORIGINAL
    var out = [CChar](repeating: 0, count: sodium_base64_encoded_len(bytes.count, variant))
    sodium_bin2base64(&out, out.count, bytes, bytes.count, variant)
    return String(decoding: out.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
