internal import CSodium

/// Passwords are kept as argon2id strings that carry their own salt and cost.
public enum Password {
    /// Takes about 50 ms and 19 MiB (OWASP's first recommended setting: m = 19 MiB, t = 2).
    public static func hash(_ password: String) -> String {
        _ = Library.started
        var out = [CChar](repeating: 0, count: Int(crypto_pwhash_STRBYTES))
        let result = crypto_pwhash_str_alg(
            &out, password, UInt64(password.utf8.count), 2, 19 * 1024 * 1024,
            crypto_pwhash_ALG_ARGON2ID13)
        precondition(result == 0, "not enough memory to hash a password")
        return String(decoding: out.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    public static func matches(_ password: String, _ hash: String) -> Bool {
        _ = Library.started
        return crypto_pwhash_str_verify(hash, password, UInt64(password.utf8.count)) == 0
    }
}
