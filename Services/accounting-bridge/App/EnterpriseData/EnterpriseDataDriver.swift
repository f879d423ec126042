import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit
import Sodium
import Synchronization
import XMLStream

/// A 1C base behind a folder of EnterpriseData messages, as БСП's «синхронизация данных через универсальный формат» exchanges them. It is an exchange
/// of states, not of commands: what is registered goes into every message until the base confirms one that has it, under an id that never changes, so
/// that nothing is lost and nothing is made twice (reference c.1, facts 4–7).
///
/// - Note: written from the facts about the format; not yet confirmed by a live base.
struct EnterpriseDataDriver: AccountingDriver, ExchangesFiles {
    let base: SuiteSettings.Base
    let writer: EnterpriseWriter
    let folder: ExchangeFolder
    let node: ExchangeNode
    let links: CounterpartyLinks
    private let seen = Seen()

    /// The message that was read last, so that one that lies there is not read again and again.
    private final class Seen: Sendable {
        private let last = Mutex<(stamp: String, tries: Int)>(("", 0))

        /// Whether a file of this stamp is to be read.
        func isNew(_ stamp: String) -> Bool { last.withLock { $0.stamp != stamp || $0.tries > 0 } }
        func done(_ stamp: String) { last.withLock { $0 = (stamp, 0) } }
        /// - Returns: whether it is time to believe that it stays cut off.
        func isCutOff(_ stamp: String) -> Bool {
            last.withLock { last in
                last = (stamp, last.stamp == stamp ? last.tries + 1 : 1)
                return last.tries >= EnterpriseDataDriver.patientReads
            }
        }
    }

    /// Times that a message which ends too early is taken for one that is still being written.
    private static let patientReads = 3

    init(
        _ base: SuiteSettings.Base, organizations: [SuiteSettings.Organization], folder: ExchangeFolder, bus: EventBus,
        births: OrderBirths
    ) {
        (self.base, self.folder) = (base, folder)
        writer = EnterpriseWriter(organizations: organizations)
        node = ExchangeNode(bus: bus, base: base.base, births: births)
        links = CounterpartyLinks(bus: bus, base: base.base)
    }

    private var outgoing: String { "Message_\(base.node)_\(base.peer).xml" }
    private var incoming: String { "Message_\(base.peer)_\(base.node).xml" }
    private func path(_ name: String) -> String { "\(folder.path)/\(name)" }

    // MARK: fit

    func check(_ wire: ExchangeWire) async throws {
        try await folder.setUp([])
        try await meetOwn(wire)
        // Before anything is given: a message may lie there that shows that one of us was restored from a backup, or the base's first one.
        if let message = try await arrived() { _ = try await take(message, wire) }
        let state = try await node.state()
        guard let version = state.version else {
            let ours = path(outgoing)
            if try await !folder.work({ try Files.exists(ours) }) { try await introduce(wire) }
            throw DriverFailure.away("1С ещё не прислала первого сообщения: файла \(incoming) нет, или он не читается")
        }
        guard version != ExchangeNode.noVersion else {
            throw DriverFailure.unfit([
                "нет общей версии формата: мы знаем \(EnterpriseHeader.versions.joined(separator: ", "))"
            ])
        }
        let missing = EnterpriseKind.sent.subtracting(state.takes).sorted()
        guard missing.isEmpty else { throw DriverFailure.unfit(missing.map { "база не принимает объекты \($0)" }) }
        let unsaid = [EnterpriseKind.order, EnterpriseKind.payment].filter { !state.sends.contains($0) }
        seenLimits.set(unsaid.map { "база не отправляет объекты \($0)" })
    }

    private func meetOwn(_ wire: ExchangeWire) async throws {
        let (ours, name) = (path(outgoing), outgoing)
        let bytes = try await folder.work {
            try Files.exists(ours) ? Files.read(ours, limit: EnterpriseMessageReader.sizeLimit) : nil
        }
        // One that cannot be read is written anew with the next.
        guard let bytes, let header = try? EnterpriseMessageReader.read(bytes).header,
            header.foreign(node: base.peer, peer: base.node) == nil
        else { return }
        try await node.meetOwn(header, named: name) {
            let entry = try await wire.open("enterprise.message", "LOOK", name, bytes, direction: "out")
            try await wire.close(entry, status: nil, [], .parked("наши данные восстановлены из копии"))
            return entry
        }
    }

    private let seenLimits = Limits()

    private final class Limits: Sendable {
        private let words = Mutex<[String]>([])
        var all: [String] { words.withLock { $0 } }
        func set(_ new: [String]) { words.withLock { $0 = new } }
    }

    var limits: [String] { seenLimits.all }
    var tellsCards: Bool { false }
    var tellsUnasked: Bool { true }

    /// The first message: what we can, and no objects.
    private func introduce(_ wire: ExchangeWire) async throws {
        var header = header(version: nil)
        header.messageNo = 0
        try await write(header.message(body: nil), wire, ["первое сообщение: что мы умеем"], orders: [])
    }

    private func header(version: String?) -> EnterpriseHeader {
        var header = EnterpriseHeader()
        header.format = EnterpriseHeader.namespace + (version.map { "/\($0)" } ?? "")
        (header.plan, header.to, header.from) = (EnterpriseHeader.plan, base.peer, base.node)
        header.created = "\(Timestamp.now().description.prefix(19))Z"
        (header.versions, header.sends, header.takes) = (
            EnterpriseHeader.versions, EnterpriseKind.sent, EnterpriseKind.taken
        )
        return header
    }

    // MARK: out

    func find(_ order: OutgoingOrder, _ wire: ExchangeWire) async throws -> TakenOrder? {
        let isThere = try await node.isRegistered(order.order.orderId)
        let entry = try await wire.open("enterprise.find", "LOOK", "заказ \(order.order.number)", [], direction: "out")
        let words =
            isThere ? "заказ \(order.order.number) зарегистрирован к отправке" : "заказ к отправке не зарегистрирован"
        try await wire.close(entry, status: nil, [], .ok([words]))
        return isThere ? TakenOrder() : nil
    }

    func give(_ order: OutgoingOrder, _ wire: ExchangeWire) async throws -> TakenOrder {
        // Under the base's own card, once we know it: otherwise it would make a second one.
        var order = order
        order.card = try await links.card(order.order.counterparty.id)
        let objects = try writer.objects(order)
        guard objects.utf8.count <= EnterpriseMessageReader.recordLimit else {
            throw DriverFailure.refused("заказ больше \(EnterpriseMessageReader.recordLimit) байт")
        }
        // An order is not taken in for a base that is not there.
        try await folder.work {}
        let entry = try await wire.open(
            "enterprise.order", "REGISTER", "заказ \(order.order.number)", Array(objects.utf8), direction: "out")
        let isNew = try await node.register(order.order, objects)
        try await wire.close(entry, status: nil, [], .ok(["заказ \(order.order.number) зарегистрирован к отправке"]))
        if try await node.isEager(seconds: base.readSeconds) {
            // It is registered, and goes with the next message if not with this one.
            do { try await flush(wire) } catch is DriverFailure {}
        }
        return TakenOrder(wasThere: !isNew)
    }

    func complete(_ taken: TakenOrder, _ wire: ExchangeWire) async throws -> TakenOrder { taken }

    /// Writes a message when there is something new to say: an order, or a message of the base's that we have taken.
    private func flush(_ wire: ExchangeWire) async throws {
        let ours = path(outgoing)
        let isLying = try await folder.work { try Files.exists(ours) }
        guard let next = try await node.next(isLying: isLying) else { return }
        var header = header(version: next.version)
        (header.messageNo, header.receivedNo) = (next.number, next.received)
        let message = header.message(body: next.objects.joined())
        var words = ["сообщение № \(next.number), подтверждаем № \(next.received)"]
        if !next.fresh.isEmpty { words.append("впервые заказы \(next.fresh.joined(separator: ", "))") }
        let again = next.objects.count - next.fresh.count
        if again > 0 { words.append("ещё не подтверждённых заказов \(again)") }
        try await write(message, wire, words, orders: next.fresh, number: (next.number, next.received))
    }

    /// - Parameter number: of the message, and which it confirms; it is not put in the place of one that was begun later. Nil: the first one, which has none.
    private func write(
        _ message: String, _ wire: ExchangeWire, _ words: [String], orders: [String],
        number: (own: Int64, received: Int64)? = nil
    ) async throws {
        let (bytes, ours) = (Array(message.utf8), path(outgoing))
        let draft = path(".\(outgoing).\(number?.own ?? 0).part")
        let entry = try await wire.open("enterprise.message", "WRITE", outgoing, bytes, direction: "out")
        do {
            try await folder.work { try Files.draw(bytes, at: draft) }
            if let number {
                let isNewest = try await node.write(number.own, received: number.received) { [folder] in
                    try await folder.work { try Files.put(draft, to: ours) }
                }
                guard isNewest else {
                    try await folder.work { try Files.remove(draft) }
                    return try await wire.close(entry, status: nil, [], .ok(["не понадобилось: уже есть новее"]))
                }
            } else {
                try await folder.work { try Files.put(draft, to: ours) }
            }
        } catch let failure as DriverFailure {
            try await wire.close(entry, status: nil, [], .failed(failure.words))
            throw failure
        }
        try await wire.close(entry, status: nil, [], .ok(words), orders: orders)
    }

    // MARK: in

    func read(_ asked: [AskedOrder], _ wire: ExchangeWire) async throws -> [HeardReport] {
        var wanted = Set(asked.map(\.id))
        if let message = try await arrived() { wanted.formUnion(try await take(message, wire)) }
        try await flush(wire)
        return try await node.reports(of: wanted.sorted())
    }

    private struct Arrived: Sendable {
        let bytes: [UInt8]
        let stamp: String
    }

    /// The base's message, when it is another than the last that was read.
    private func arrived() async throws -> Arrived? {
        let (theirs, seen) = (path(incoming), seen)
        return try await folder.work {
            guard let stamp = try Files.stamp(theirs), seen.isNew(stamp) else { return nil }
            // One byte more than is taken tells that there is more.
            return Arrived(bytes: try Files.read(theirs, limit: EnterpriseMessageReader.sizeLimit + 1), stamp: stamp)
        }
    }

    /// Takes a message in, as a whole or not at all; what a person must know of it is set aside with it.
    ///
    /// - Returns: the orders of ours that it tells of; with many the rest is told in the next rounds.
    private func take(_ arrived: Arrived, _ wire: ExchangeWire) async throws -> [ID] {
        let message: EnterpriseMessage
        do {
            message = try EnterpriseMessage(EnterpriseMessageReader.read(arrived.bytes))
            if let reason = message.header.foreign(node: base.node, peer: base.peer) {
                throw XMLRefusal(reason: reason, isIncomplete: false)
            }
        } catch let refusal as XMLRefusal {
            if refusal.isIncomplete, !seen.isCutOff(arrived.stamp) { return [] }
            // Of one that is too large its beginning must do.
            let isTooLarge = arrived.bytes.count > EnterpriseMessageReader.sizeLimit
            let kept = isTooLarge ? Array(arrived.bytes.prefix(1 << 20)) : arrived.bytes
            let entry = try await wire.open("enterprise.message", "READ", incoming, kept, direction: "in")
            try await wire.close(entry, status: nil, [], .parked(refusal.reason))
            try await node.park(entry, incoming, refusal.reason)
            seen.done(arrived.stamp)
            return []
        }
        // Read before, perhaps by another process: nothing to keep.
        let digest = sha256(arrived.bytes)
        if try await node.isOld(digest) {
            seen.done(arrived.stamp)
            return []
        }
        let entry = try await wire.open("enterprise.message", "READ", incoming, arrived.bytes, direction: "in")
        let (news, born): (Int, Int)
        var taken: ExchangeNode.Taken
        do {
            news = try await node.learn(message.cards, entry)
            born = try await node.bear(message, entry, named: incoming)
            taken = try await node.take(message, digest, named: incoming, entry)
        } catch let error where (error as? PostgresError)?.isTransient != true && !(error is CancellationError) {
            // Read again it would fail again, and be kept again each time.
            let reason = "ошибка на нашей стороне: \(error)"
            try await wire.close(entry, status: nil, [], .parked(reason))
            try await node.park(entry, incoming, reason)
            seen.done(arrived.stamp)
            return []
        }
        if !message.cards.isEmpty { taken.words.append("карточек \(message.cards.count), нового в \(news)") }
        if born > 0 { taken.words.append("новых заказов, сделанных в 1С: \(born)") }
        seen.done(arrived.stamp)
        let outcome: ExchangeWire.Outcome =
            taken.troubles.isEmpty
            ? .ok(taken.words) : .parked(taken.troubles.joined(separator: "; "), understood: taken.words)
        try await wire.close(entry, status: nil, [], outcome, orders: taken.confirmed)
        return Array(taken.affected.prefix(ReportReader.roundLimit))
    }

    /// A message that somebody carries lies where the base would have written it.
    func put(_ bytes: [UInt8], named: String?) async throws -> String {
        let (draft, theirs) = (path(".\(incoming).hand.part"), path(incoming))
        try await folder.work {
            try Files.draw(bytes, at: draft)
            try Files.put(draft, to: theirs)
        }
        return incoming
    }

    /// Nothing is taken out of the exchange: a base that refuses an order does not say so.
    func release(order number: String) async throws {}

    /// What was read stands in our database since it was read.
    func accept(_ heard: [HeardReport]) async throws {}

    /// Cards come with the messages.
    func cards(from place: String?, _ wire: ExchangeWire) async throws -> ClientPage? { nil }

    func link(toOrder onecId: String) -> String? { nil }

    /// Read anew out of what the base has told of the order.
    func understand(_ bytes: [UInt8], from target: String) throws -> [OrderReport]? { nil }
}
