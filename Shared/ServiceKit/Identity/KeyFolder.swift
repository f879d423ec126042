import FoundationEssentials
import Sodium
import ZeroMQ

/// The suite's keys in the data folder: per service a CURVE pair for the bus and a signing pair for its log's finished days, and
/// crm-core's key for sessions. Secrets are
/// files of mode 0600 in a folder of mode 0700.
public struct KeyFolder: Sendable {
    public let path: String
    public init(data: String) { path = data + "/keys" }

    public struct Missing: Error, CustomStringConvertible {
        let file: String
        public var description: String {
            "the key \(file) is missing or damaged; make the suite's keys with: throughline keys init"
        }
    }

    /// Makes what is missing; leaves alone what is there.
    public func create() throws {
        let files = FileManager.default
        try files.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        for service in ServiceIdentity.allCases {
            if read("\(service.name).secret") == nil { try rotate(service) }
            try makeSeed("\(service.name).log")
        }
        try makeSeed("session")
    }

    /// A new CURVE pair for a service. Running services find it within seconds and cut the old key off.
    public func rotate(_ service: ServiceIdentity) throws {
        let keys = CurveKeys.generate()
        try write("\(service.name).secret", keys.secretKey, mode: 0o600)
        try write("\(service.name).public", keys.publicKey, mode: 0o644)
    }

    private func makeSeed(_ name: String) throws {
        guard read("\(name).seed") == nil else { return }
        let seed = randomBytes(32)
        guard let key = SigningKey(seed: seed) else { throw Missing(file: "\(name).seed") }
        try write("\(name).public", hex(key.verifying.bytes), mode: 0o644)
        try write("\(name).seed", hex(seed), mode: 0o600)
    }

    public func curve(_ service: ServiceIdentity) throws -> CurveKeys {
        guard let keys = read("\(service.name).secret").flatMap({ CurveKeys(secretKey: $0) }) else {
            throw Missing(file: "\(service.name).secret")
        }
        return keys
    }

    public func publicKey(_ service: ServiceIdentity) throws -> String {
        guard let key = read("\(service.name).public"), key.utf8.count == 40 else {
            throw Missing(file: "\(service.name).public")
        }
        return key
    }

    /// What sessions are verified by; crm-core signs them.
    public func verifyingKey() throws -> VerifyingKey { try verifying("session") }
    public func signingKey() throws -> SigningKey { try signing("session") }

    /// What the finished days of a service's log are signed with.
    public func logSigningKey(_ service: ServiceIdentity) throws -> SigningKey { try signing("\(service.name).log") }
    public func logVerifyingKey(_ service: ServiceIdentity) throws -> VerifyingKey {
        try verifying("\(service.name).log")
    }

    private func verifying(_ name: String) throws -> VerifyingKey {
        guard let bytes = read("\(name).public").flatMap({ unhex($0) }), let key = VerifyingKey(bytes) else {
            throw Missing(file: "\(name).public")
        }
        return key
    }

    private func signing(_ name: String) throws -> SigningKey {
        guard let seed = read("\(name).seed").flatMap({ unhex($0) }), let key = SigningKey(seed: seed) else {
            throw Missing(file: "\(name).seed")
        }
        return key
    }

    /// Readers of metric topics: name → public key.
    public func readers() -> [String: String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        var readers: [String: String] = [:]
        for name in names where name.hasPrefix("reader-") && name.hasSuffix(".public") {
            if let key = read(name) {
                readers[key] = String(name.dropFirst("reader-".count).dropLast(".public".count))
            }
        }
        return readers
    }

    /// Makes a key pair for a BI consumer; the caller hands the secret over and forgets it.
    public func addReader(_ name: String) throws -> CurveKeys {
        let keys = CurveKeys.generate()
        try write("reader-\(name).public", keys.publicKey, mode: 0o644)
        return keys
    }

    /// A reader's key is no longer one; its connections are cut within seconds.
    public func removeReader(_ name: String) throws {
        let file = "\(path)/reader-\(name).public"
        guard FileManager.default.fileExists(atPath: file) else { throw Missing(file: "reader-\(name).public") }
        try FileManager.default.removeItem(atPath: file)
    }

    /// Gives another folder what one service needs: its own secret key, everybody's public ones, and the signing seed if
    /// it is the one that signs.
    public func handOver(to service: ServiceIdentity, _ other: KeyFolder) throws {
        try FileManager.default.createDirectory(
            atPath: other.path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let secrets =
            ["\(service.name).secret", "\(service.name).log.seed"] + (service == .crmCore ? ["session.seed"] : [])
        let publics =
            ServiceIdentity.allCases.flatMap { ["\($0.name).public", "\($0.name).log.public"] } + ["session.public"]
        for (names, mode) in [(secrets, 0o600), (publics, 0o644)] {
            for name in names {
                guard let text = read(name) else { throw Missing(file: name) }
                if other.read(name) != text { try other.write(name, text, mode: mode) }
            }
        }
    }

    fileprivate func read(_ name: String) -> String? {
        guard let data = try? Data(contentsOf: URL(filePath: "\(path)/\(name)")) else { return nil }
        return String(decoding: data, as: UTF8.self).trimmed
    }

    fileprivate func write(_ name: String, _ text: String, mode: Int) throws {
        guard (try? PrivateFile.write("\(path)/\(name)", text + "\n", mode: mode)) != nil else {
            throw Missing(file: name)
        }
    }
}

extension KeyFolder {
    /// A random secret of this name, made on first use: 48 hexadecimal digits.
    public func secret(_ name: String) throws -> String {
        if let known = read("\(name).secret") { return known }
        let fresh = hex(randomBytes(24))
        try write("\(name).secret", fresh, mode: 0o600)
        return fresh
    }
}
