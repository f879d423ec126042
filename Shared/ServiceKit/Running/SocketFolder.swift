import FoundationEssentials
import Glibc
import Sodium

/// A private folder for local sockets: the bus's, or one in the temporary directory where the path would be too long.
public enum SocketFolder {
    /// Longest path of a Unix socket, with room for its file name.
    static let pathLimit = 70

    public static func make(_ options: LaunchOptions) throws -> String {
        if let bus = options.bus { return bus }
        let path = "/tmp/throughline-\(getuid())-\(getpid())"
        try create(path)
        return path
    }

    public static func create(_ path: String) throws {
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    /// The bus folder for a data folder: below it when a socket's path fits, else by its name in /tmp.
    public static func forBus(data: String, digest: (String) -> String) -> String {
        let path = data + "/bus"
        return path.utf8.count <= pathLimit ? path : "/tmp/throughline-\(getuid())-\(digest(data).prefix(12))"
    }
}

extension ServiceIdentity {
    /// Where the bus of a data folder has its sockets; nil when there is none on this host.
    public static func busFolder(_ data: String) -> String? {
        let path = SocketFolder.forBus(data: data) { hex(sha256(Array($0.utf8))) }
        return FileManager.default.fileExists(atPath: path) ? path : nil
    }
}
