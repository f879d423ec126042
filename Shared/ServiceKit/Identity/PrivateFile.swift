import FoundationEssentials
import Glibc

/// Writes a file that nobody else may read, whole or not at all: into a neighbour of its final mode, then renamed.
public enum PrivateFile {
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    public static func write(_ path: String, _ text: String, mode: Int = 0o600) throws {
        let draft = "\(path).\(getpid()).new"
        guard
            FileManager.default.createFile(
                atPath: draft, contents: Data(text.utf8), attributes: [.posixPermissions: mode]),
            rename(draft, path) == 0
        else {
            unlink(draft)
            throw Failure(description: "\(path) cannot be written: \(String(cString: strerror(errno)))")
        }
    }
}
