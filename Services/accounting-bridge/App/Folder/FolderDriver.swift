import Contracts
import Dispatch
import Glibc
import Postgres
import Primitives

/// An accounting system behind a folder: an order is a file that we put down, a report a file that we read. The rules for the other side are in
/// `deploy/docs/folder-exchange.md`; the decisive one: what it takes it moves to `orders/taken`, so that a given order can always be looked up.
struct FolderDriver: AccountingDriver {
    let folder: String
    let format: FolderFormat
    let fallback: Currency
    let marks: FolderMark

    /// Report files of one round at most.
    static let roundLimit = 100

    private var orders: String { "\(folder)/orders" }
    private var taken: String { "\(orders)/taken" }
    private var refused: String { "\(orders)/refused" }
    private var reports: String { "\(folder)/reports" }

    private func name(_ order: OutgoingOrder) -> String { "order-\(order.order.number).\(format.rawValue)" }

    func check(_ wire: ExchangeWire) async throws -> [String] {
        let isKnown = try await marks.isSet()
        try await onFiles {
            guard Files.isFolder(folder) else { throw DriverFailure.away("папки обмена \(folder) нет") }
            // A share that is not mounted leaves an empty folder in its place: what is written there is never seen.
            if isKnown, try !Files.exists(mark) {
                throw DriverFailure.away(
                    "в папке \(folder) нет нашей метки .throughline: диск не подключён, или это другая папка")
            }
            for path in [orders, taken, refused, reports, opened, unreadable] { try Files.makeFolder(path) }
            if try !Files.exists(mark) { try Files.write(Array("Throughline\n".utf8), to: mark) }
        }
        if !isKnown { try await marks.set() }
        return []
    }

    private var mark: String { "\(folder)/.throughline" }
    /// Reports that are being read: nobody else writes here.
    private var opened: String { "\(reports)/.opened" }
    /// Reports that we have no right to read.
    private var unreadable: String { "\(reports)/.unreadable" }

    func find(_ order: OutgoingOrder, _ wire: ExchangeWire) async throws -> TakenOrder? {
        let name = name(order)
        return try await onFiles {
            guard Files.isFolder(orders) else { throw DriverFailure.away("папки обмена \(orders) нет") }
            let isThere = try [orders, taken].contains { try Files.exists("\($0)/\(name)") }
            return isThere ? TakenOrder() : nil
        }
    }

    var tellsUnasked: Bool { true }
    var limits: [String] { [] }

    func complete(_ taken: TakenOrder, _ wire: ExchangeWire) async throws -> TakenOrder { taken }

    func give(_ order: OutgoingOrder, _ wire: ExchangeWire) async throws -> TakenOrder {
        if var there = try await find(order, wire) {
            there.wasThere = true
            return there
        }
        let (bytes, name) = (try format.order(order), name(order))
        let exchange = try await wire.open("folder.order", "WRITE", "orders/\(name)", bytes, direction: "out")
        do {
            try await onFiles { try Files.write(bytes, to: "\(orders)/\(name)") }
        } catch let failure as DriverFailure {
            try await wire.close(exchange, status: nil, [], .failed(failure.words))
            throw failure
        }
        try await wire.close(exchange, status: nil, [], .ok(["заказ \(order.order.number) лежит в папке orders"]))
        return TakenOrder()
    }

    func read(_ asked: [AskedOrder], _ wire: ExchangeWire) async throws -> [HeardReport] {
        let names = try await onFiles {
            let fresh = try Files.list(reports).filter { !$0.hasPrefix(".") && !$0.hasSuffix(".part") }.sorted()
            // Taken out of everybody's hands first: the same name written anew meanwhile is another file.
            for name in fresh.prefix(Self.roundLimit) where try !Files.exists("\(opened)/\(name)") {
                // One that somebody still holds is for the next round.
                try? Files.move("\(reports)/\(name)", to: "\(opened)/\(name)")
            }
            return try Files.list(opened).sorted()
        }
        var heard: [HeardReport] = []
        for name in names.prefix(Self.roundLimit) { heard += try await read(name, wire) }
        return heard
    }

    private func read(_ name: String, _ wire: ExchangeWire) async throws -> [HeardReport] {
        let bytes: [UInt8]
        do {
            // One byte more than is taken tells that there is more.
            bytes = try await onFiles { try Files.read("\(opened)/\(name)", limit: FolderFormat.sizeLimit + 1) }
        } catch let failure as DriverFailure {
            // It is kept aside, out of the way of the next one of its name; the others are read.
            let exchange = try await wire.open("folder.report", "READ", "reports/\(name)", [], direction: "in")
            try await wire.close(exchange, status: nil, [], .failed(failure.words))
            try await onFiles { try Files.move("\(opened)/\(name)", to: "\(unreadable)/\(exchange) \(name)") }
            return [
                HeardReport(
                    exchange: exchange, subject: name, number: nil, result: .failure(.refused(failure.words)),
                    isKept: true)
            ]
        }
        let exchange = try await wire.open("folder.report", "READ", "reports/\(name)", bytes, direction: "in")
        do {
            let orders = try FolderFormat.reports(bytes, named: name, fallback: fallback)
            try await wire.close(exchange, status: nil, [], .ok([]))
            let heard = orders.map {
                HeardReport(exchange: exchange, subject: name, number: $0.number, result: $0.result)
            }
            // A file that tells of no order is done with, too.
            return heard.isEmpty ? [HeardReport(exchange: exchange, subject: name, number: nil, result: nil)] : heard
        } catch let failure as DriverFailure {
            try await wire.close(exchange, status: nil, [], .parked(failure.words))
            return [HeardReport(exchange: exchange, subject: name, number: nil, result: .failure(failure))]
        }
    }

    /// A report that was read stands in the journal; an order that the system refused may be given anew.
    func accept(_ heard: [HeardReport]) async throws {
        let rejected = heard.compactMap { one -> String? in
            guard case .success(let report)? = one.result, report.rejection != nil else { return nil }
            return "order-\(report.number).\(format.rawValue)"
        }
        let read = Set(heard.filter { !$0.isKept }.map(\.subject))
        try await onFiles {
            for name in rejected where !name.contains("/") {
                for place in [taken, orders] { try Files.move("\(place)/\(name)", to: "\(refused)/\(name)") }
            }
            for name in read { try Files.remove("\(opened)/\(name)") }
        }
    }

    func cards(from place: Int, _ wire: ExchangeWire) async throws -> ClientPage? { nil }

    func link(toOrder onecId: String) -> String? { nil }

    func understand(_ bytes: [UInt8], from target: String) throws -> [OrderReport]? {
        try FolderFormat.reports(bytes, named: target, fallback: fallback).compactMap { try? $0.result.get() }
    }

    /// A folder may lie on another machine and hang: never on the cooperative pool.
    private func onFiles<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue(label: "throughline.folder").async { continuation.resume(with: Result { try work() }) }
        }
    }
}

/// Whether a base's folder was set up, as the database remembers it.
struct FolderMark: Sendable {
    let pool: PostgresPool
    let base: String

    func isSet() async throws -> Bool {
        try await !pool.query("SELECT 1 AS one FROM base_state WHERE base = $1 AND is_marked", [.text(base)]).isEmpty
    }

    func set() async throws {
        try await pool.query(
            """
            INSERT INTO base_state (base, is_marked) VALUES ($1, true)
            ON CONFLICT (base) DO UPDATE SET is_marked = true
            """, [.text(base)])
    }
}

/// The file system as the exchange needs it: what is written is durable, and nothing appears half.
private enum Files {
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

    static func list(_ path: String) throws -> [String] {
        guard let folder = opendir(path) else { throw failure(path) }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            var info = stat()
            if stat("\(path)/\(name)", &info) == 0, info.st_mode & S_IFMT == S_IFREG { names.append(name) }
        }
        return names
    }

    static func read(_ path: String, limit: Int) throws -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw failure(path) }
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
        let name = path.split(separator: "/").last.map(String.init) ?? path
        let parent = String(path.dropLast(name.count + 1))
        let draft = "\(parent)/.\(name).part"
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
        guard isWhole, rename(draft, path) == 0 else {
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

    static func remove(_ path: String) throws {
        guard unlink(path) == 0 || errno == ENOENT else { throw failure(path) }
    }
}
