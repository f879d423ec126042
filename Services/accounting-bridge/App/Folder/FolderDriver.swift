import Contracts
import Primitives
import Synchronization

/// An accounting system behind a folder: an order is a file that we put down, a report a file that we read. The rules for the other side are in
/// `deploy/docs/folder-exchange.md`; the decisive one: what it takes it moves to `orders/taken`, so that a given order can always be looked up.
struct FolderDriver: AccountingDriver, ExchangesFiles {
    let folder: ExchangeFolder
    let format: FolderFormat
    let fallback: Currency
    /// Reports that could not be taken, and why.
    private let held = Held()

    private final class Held: Sendable {
        private let words = Mutex<[String]>([])
        func withLock<Value>(_ body: (inout sending [String]) -> sending Value) -> Value { words.withLock(body) }
    }

    init(_ folder: ExchangeFolder, format: FolderFormat, fallback: Currency) {
        (self.folder, self.format, self.fallback) = (folder, format, fallback)
    }

    private var orders: String { "\(folder.path)/orders" }
    private var taken: String { "\(orders)/taken" }
    private var refused: String { "\(orders)/refused" }
    private var reports: String { "\(folder.path)/reports" }

    private func name(_ order: OutgoingOrder) -> String { "order-\(order.order.number).\(format.rawValue)" }

    func check(_ wire: ExchangeWire) async throws {
        try await folder.setUp(
            [orders, taken, refused, reports, opened, unreadable]
                + [FolderInquiries.questions, FolderInquiries.answers].map { "\(folder.path)/\($0)" })
        // A full disk and a share that is only to be read are seen by writing alone.
        let probe = "\(orders)/.probe"
        try await folder.work {
            try Files.write([UInt8](repeating: 0x2e, count: 64 * 1024), to: probe)
            try Files.remove(probe)
            // Answers that came too late, and questions of a process that died: nobody waits for either.
            for place in [FolderInquiries.questions, FolderInquiries.answers] {
                try Files.removeOld(in: "\(folder.path)/\(place)", olderThan: 600)
            }
        }
    }

    /// Reports that are being read: nobody else writes here.
    private var opened: String { "\(reports)/.opened" }
    /// Reports that we have no right to read.
    private var unreadable: String { "\(reports)/.unreadable" }

    func find(_ order: OutgoingOrder, _ wire: ExchangeWire) async throws -> TakenOrder? {
        let name = name(order)
        let found = try await isThere(name)
        let entry = try await wire.open("folder.find", "LOOK", "orders/\(name)", [], direction: "out")
        try await wire.close(
            entry, status: nil, [], .ok([found ? "заказ \(order.order.number) лежит в папке" : "заказа в папке нет"])
        )
        return found ? TakenOrder() : nil
    }

    private func isThere(_ name: String) async throws -> Bool {
        try await folder.work { try [orders, taken].contains { try Files.exists("\($0)/\(name)") } }
    }

    var tellsCards: Bool { false }
    var tellsUnasked: Bool { true }
    var limits: [String] { held.withLock { $0 } }

    func complete(_ taken: TakenOrder, _ wire: ExchangeWire) async throws -> TakenOrder { taken }

    func give(_ order: OutgoingOrder, _ wire: ExchangeWire) async throws -> TakenOrder {
        let (bytes, name) = (try format.order(order), name(order))
        if try await isThere(name) { return TakenOrder(wasThere: true) }
        let entry = try await wire.open("folder.order", "WRITE", "orders/\(name)", bytes, direction: "out")
        do {
            try await folder.work { try Files.write(bytes, to: "\(orders)/\(name)") }
        } catch let failure as DriverFailure {
            try await wire.close(entry, status: nil, [], .failed(failure.words))
            throw failure
        }
        try await wire.close(entry, status: nil, [], .ok(["заказ \(order.order.number) лежит в папке orders"]))
        return TakenOrder()
    }

    /// One file at a time: what it told is kept, and the file done with, before the next is opened.
    func read(_ asked: [AskedOrder], _ wire: ExchangeWire) async throws -> [HeardReport] {
        let (name, stuck) = try await folder.work { () -> (String?, [String]) in
            if let left = try Files.list(opened).names.min() { return (left, []) }
            let found = try Files.list(reports)
            var stuck = found.strange.map { "отчёт не взять: имя файла не в UTF-8: \($0)" }
            for name in found.names.filter({ !$0.hasPrefix(".") && !$0.hasSuffix(".part") }).sorted() {
                // Taken out of everybody's hands first: the same name written anew meanwhile is another file.
                do { try Files.move("\(reports)/\(name)", to: "\(opened)/\(name)") } catch let failure as DriverFailure
                {
                    // Somebody still holds it, or for good.
                    stuck.append("отчёт не взять: \(failure.words)")
                    continue
                }
                return (name, stuck)
            }
            return (nil, stuck)
        }
        held.withLock { $0 = stuck }
        guard let name else { return [] }
        return try await read(name, wire)
    }

    private func read(_ name: String, _ wire: ExchangeWire) async throws -> [HeardReport] {
        let bytes: [UInt8]
        do {
            // One byte more than is taken tells that there is more.
            bytes = try await folder.work { try Files.read("\(opened)/\(name)", limit: FolderFormat.sizeLimit + 1) }
        } catch DriverFailure.refused(let reason) {
            let entry = try await wire.open("folder.report", "READ", "reports/\(name)", [], direction: "in")
            try await wire.close(entry, status: nil, [], .failed(reason))
            return [
                HeardReport(
                    exchange: entry, subject: name, number: nil, result: .failure(.refused(reason)), isKept: true)
            ]
        }
        let entry = try await wire.open("folder.report", "READ", "reports/\(name)", bytes, direction: "in")
        do {
            let orders = try FolderFormat.reports(bytes, named: name, fallback: fallback)
            try await wire.close(entry, status: nil, [], .ok([]))
            let heard = orders.map {
                HeardReport(exchange: entry, subject: name, number: $0.number, result: $0.result)
            }
            // A file that tells of no order is done with, too.
            return heard.isEmpty ? [HeardReport(exchange: entry, subject: name, number: nil, result: nil)] : heard
        } catch let failure as DriverFailure {
            try await wire.close(entry, status: nil, [], .parked(failure.words))
            // What the journal has whole is done with; of one that is too large the file itself is all there is.
            return [
                HeardReport(
                    exchange: entry, subject: name, number: nil, result: .failure(failure),
                    isKept: bytes.count > FolderFormat.sizeLimit)
            ]
        }
    }

    func put(_ bytes: [UInt8], named: String?) async throws -> String {
        let isCSV = named?.lowercased().hasSuffix(".csv") ?? (format == .csv)
        let name = "hand-\(ID.make()).\(isCSV ? "csv" : "json")"
        let place = "\(reports)/\(name)"
        try await folder.work {
            try Files.draw(bytes, at: "\(place).part")
            try Files.put("\(place).part", to: place)
        }
        return name
    }

    func release(order number: String) async throws {
        let name = "order-\(number).\(format.rawValue)"
        guard !name.contains("/") else { return }
        try await folder.work {
            for place in [taken, orders] { try Files.move("\(place)/\(name)", to: "\(refused)/\(name)") }
        }
    }

    /// A report that was read stands in the journal; one that we may not read is kept, out of the way of the next one of its name.
    func accept(_ heard: [HeardReport]) async throws {
        let done = Dictionary(heard.map { ($0.subject, $0) }) { first, _ in first }.values
        try await folder.work {
            for one in done {
                let place = "\(opened)/\(one.subject)"
                if one.isKept {
                    try Files.move(place, to: "\(unreadable)/\(one.exchange) \(one.subject)")
                } else {
                    try Files.remove(place)
                }
            }
        }
    }

    func cards(from place: String?, _ wire: ExchangeWire) async throws -> ClientPage? { nil }

    func link(toOrder onecId: String) -> String? { nil }

    func understand(_ bytes: [UInt8], from target: String) throws -> [OrderReport]? {
        try FolderFormat.reports(bytes, named: target, fallback: fallback).compactMap { try? $0.result.get() }
    }
}
