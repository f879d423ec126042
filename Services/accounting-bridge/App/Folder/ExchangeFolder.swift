import Dispatch
import Primitives

/// A folder through which files are exchanged. A mark of ours in it, which the database remembers, tells it from an empty place where a share is not
/// mounted: what is written there is never seen.
struct ExchangeFolder: Sendable {
    let path: String
    let marks: FolderMark

    private var mark: String { "\(path)/.throughline" }

    /// Makes sure that it is the one; the first time it is marked, and `subfolders` are made in it.
    func setUp(_ subfolders: [String]) async throws {
        let known = try await marks.load()
        let fresh = "Throughline \(ID.make())\n"
        try await onFiles {
            guard Files.isFolder(path) else { throw DriverFailure.away("папки обмена \(path) нет") }
            if let known { try demand(known) }
            for subfolder in subfolders { try Files.makeFolder(subfolder) }
            if known != nil { return }
            // Of a base whose memory was lost the folder is still the one.
            if try !Files.exists(mark) { try Files.write(Array(fresh.utf8), to: mark) }
        }
        guard known == nil else { return }
        try await marks.keep(try await onFiles { String(decoding: try Files.read(mark, limit: 1000), as: UTF8.self) })
    }

    private func demand(_ known: String) throws {
        let standing = try Files.exists(mark) ? String(decoding: try Files.read(mark, limit: 1000), as: UTF8.self) : nil
        guard standing == known else {
            throw DriverFailure.away(
                "в папке \(path) нет нашей метки .throughline: диск не подключён, или это другая папка")
        }
    }

    /// Works on its files, once it is surely the one. It may lie on another machine and hang: never on the cooperative pool.
    func work<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        let known = try await marks.load()
        return try await onFiles {
            if let known { try demand(known) }
            return try work()
        }
    }

    private func onFiles<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue(label: "throughline.folder").async { continuation.resume(with: Result { try work() }) }
        }
    }
}
