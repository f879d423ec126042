import Glibc

/// The file system as the exchange needs it: what is written is durable, and nothing appears half.
enum Files {
    private static func failure(_ path: String) -> DriverFailure {
        .away("\(path): \(String(cString: strerror(errno)))")
    }

    static func isFolder(_ path: String) -> Bool {
        var info = stat()
        return stat(path, &info) == 0 && info.st_mode & S_IFMT == S_IFDIR
    }

    static func makeFolder(_ path: String) throws {
        guard isFolder(path) || mkdir(path, 0o775) == 0 || errno == EEXIST else { throw failure(path) }
    }

    static func exists(_ path: String) throws -> Bool {
        var info = stat()
        if stat(path, &info) == 0 { return true }
        guard errno == ENOENT else { throw failure(path) }
        return false
    }

    /// What tells a file from the one that stood in its place before; nil when there is none.
    static func stamp(_ path: String) throws -> String? {
        var info = stat()
        if stat(path, &info) == 0 {
            return "\(info.st_ino) \(info.st_size) \(info.st_mtim.tv_sec).\(info.st_mtim.tv_nsec)"
        }
        guard errno == ENOENT else { throw failure(path) }
        return nil
    }

    /// Its files. `strange` are names that are not UTF-8, as well as they can be shown.
    static func list(_ path: String) throws -> (names: [String], strange: [String]) {
        guard let folder = opendir(path) else { throw failure(path) }
        defer { closedir(folder) }
        var (names, strange) = ([String](), [String]())
        while let entry = readdir(folder) {
            let (known, shown) = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) {
                    (String(validatingCString: $0), String(cString: $0))
                }
            }
            guard let name = known else {
                strange.append(shown)
                continue
            }
            var info = stat()
            if stat("\(path)/\(name)", &info) == 0, info.st_mode & S_IFMT == S_IFREG { names.append(name) }
        }
        return (names, strange)
    }

    static func read(_ path: String, limit: Int) throws -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            // No right to it is for good; anything else may be over the next time.
            throw errno == EACCES || errno == EPERM ? .refused(failure(path).words) : failure(path)
        }
        defer { close(file) }
        var bytes: [UInt8] = []
        while bytes.count < limit {
            let step = min(limit - bytes.count, 1 << 20)
            var result = 0
            let piece = [UInt8](unsafeUninitializedCapacity: step) { buffer, count in
                result = Glibc.read(file, buffer.baseAddress, step)
                count = max(0, result)
            }
            guard result >= 0 else { throw failure(path) }
            if piece.isEmpty { break }
            bytes += piece
        }
        return bytes
    }

    /// Whole or not at all: a hidden neighbour, flushed, then renamed.
    static func write(_ bytes: [UInt8], to path: String) throws {
        let (parent, name) = split(path)
        let draft = "\(parent)/.\(name).part"
        try draw(bytes, at: draft)
        try put(draft, to: path)
    }

    private static func split(_ path: String) -> (parent: String, name: String) {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        return (String(path.dropLast(name.count + 1)), name)
    }

    /// A file that nobody takes for whole yet, flushed.
    static func draw(_ bytes: [UInt8], at draft: String) throws {
        let file = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o664)
        guard file >= 0 else { throw failure(draft) }
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            guard count > 0 else { break }
            written += count
        }
        let isWhole = written == bytes.count && fsync(file) == 0
        let reason = failure(draft)
        close(file)
        guard isWhole else {
            unlink(draft)
            throw reason
        }
    }

    /// Gives a draft its final name.
    static func put(_ draft: String, to path: String) throws {
        let parent = split(path).parent
        guard rename(draft, path) == 0 else {
            let reason = failure(draft)
            unlink(draft)
            throw reason
        }
        // It is there from here on; only whether it survives the machine is in doubt.
        let folder = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw DriverFailure.doubtful("\(parent): \(String(cString: strerror(errno)))") }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw DriverFailure.doubtful("\(parent): \(String(cString: strerror(errno)))") }
    }

    static func move(_ path: String, to: String) throws {
        guard rename(path, to) == 0 || errno == ENOENT else { throw failure(path) }
    }

    /// Removes the files of a folder that are older than so many seconds.
    static func removeOld(in path: String, olderThan seconds: Int) throws {
        for name in try list(path).names {
            var info = stat()
            guard stat("\(path)/\(name)", &info) == 0, info.st_mtim.tv_sec < time(nil) - seconds else { continue }
            try remove("\(path)/\(name)")
        }
    }

    static func remove(_ path: String) throws {
        guard unlink(path) == 0 || errno == ENOENT else { throw failure(path) }
    }
}
