import Primitives
import XMLStream

/// The head of a message of EnterpriseData: who writes to whom, which number it has, and which of ours has arrived (reference c.1, facts 1–8).
struct EnterpriseHeader: Sendable, Equatable {
    /// The format's namespace, with the version in a working message and without it in the first.
    var format = ""
    var plan = ""
    /// The codes of the two nodes.
    var to = ""
    var from = ""
    /// 0 in the first message, which holds nothing but this head.
    var messageNo: Int64 = 0
    /// The last message of the receiver that the sender has taken.
    var receivedNo: Int64 = 0
    /// When it was written, in UTC, by the sender's clock: `2026-01-31T09:05:00Z`.
    var created = ""
    var versions: [String] = []
    /// Kinds of objects that the sender sends, and that it takes.
    var sends: Set<String> = []
    var takes: Set<String> = []
    /// The code that the sender has from now on.
    var newFrom: String?

    /// The highest number that is believed: nobody has written so many messages.
    static let numberLimit: Int64 = 1_000_000_000_000

    static let plan = "СинхронизацияДанныхЧерезУниверсальныйФормат"
    static let namespace = "http://v8.1c.ru/edi/edi_stnd/EnterpriseData"
    static let messageNamespace = "http://www.1c.ru/SSL/Exchange/Message"

    /// Versions that we read and write: what is used here is the same in all of them.
    static let versions = (2...17).map { "1.\($0)" }

    /// The highest version that both sides know.
    static func common(_ theirs: [String]) -> String? {
        let known = Set(theirs)
        return versions.last(where: known.contains)
    }

    init() {}

    /// - Throws: `XMLRefusal` naming what is missing.
    init(_ element: XMLElement) throws {
        guard let confirmation = element.first("Confirmation") else {
            throw XMLRefusal(reason: "в заголовке сообщения нет Confirmation", isIncomplete: false)
        }
        func text(_ name: String, _ place: XMLElement) throws -> String {
            guard let text = place.value(name) else {
                throw XMLRefusal(reason: "в заголовке сообщения нет \(name)", isIncomplete: false)
            }
            return text
        }
        func number(_ name: String) throws -> Int64 {
            let text = try text(name, confirmation)
            guard let number = Int64(text), (0...Self.numberLimit).contains(number) else {
                throw XMLRefusal(
                    reason: "\(name) «\(text)» в заголовке не число от 0 до \(Self.numberLimit)", isIncomplete: false)
            }
            return number
        }
        (format, plan) = (try text("Format", element), try text("ExchangePlan", confirmation))
        (to, from) = (try text("To", confirmation), try text("From", confirmation))
        (messageNo, receivedNo) = (try number("MessageNo"), try number("ReceivedNo"))
        versions = element.all("AvailableVersion").map(\.text)
        for type in element.first("AvailableObjectTypes")?.all("ObjectType") ?? [] {
            // What we never speak of is nobody's business.
            guard let name = type.value("Name"), EnterpriseKind.all.contains(name) else { continue }
            if type.value("Sending") != nil { sends.insert(name) }
            if type.value("Receiving") != nil { takes.insert(name) }
        }
        newFrom = element.value("NewFrom")
        created = String((element.value("CreationDate") ?? "").prefix(40))
    }

    /// What keeps this message from being one of the peer's for us; nil when nothing does.
    func foreign(node: String, peer: String) -> String? {
        if format != Self.namespace, !format.hasPrefix(Self.namespace + "/") {
            return "формат сообщения «\(format)» — не EnterpriseData"
        }
        if plan != Self.plan { return "план обмена «\(plan)», а ожидается «\(Self.plan)»" }
        guard from == peer, to == node else {
            return "сообщение из узла «\(from)» для узла «\(to)», а настроен обмен «\(peer)» → «\(node)»"
        }
        return nil
    }

    /// A message with this head.
    ///
    /// - Parameter body: objects as XML; nil for the first message, which has none.
    func message(body: String?) -> String {
        func tag(_ name: String, _ text: String) -> String {
            "<msg:\(name)>\(XMLText.escape(text))</msg:\(name)>"
        }
        var out =
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Message xmlns:msg=\"\(Self.messageNamespace)\">\n<msg:Header>\n"
        out += tag("Format", format) + tag("CreationDate", created) + "\n<msg:Confirmation>"
        out += tag("ExchangePlan", plan) + tag("To", to) + tag("From", from)
        out += tag("MessageNo", String(messageNo)) + tag("ReceivedNo", String(receivedNo)) + "</msg:Confirmation>\n"
        out += versions.map { tag("AvailableVersion", $0) }.joined() + "\n<msg:AvailableObjectTypes>"
        for name in sends.union(takes).sorted() {
            out += "<msg:ObjectType>" + tag("Name", name)
            if sends.contains(name) { out += tag("Sending", "*") }
            if takes.contains(name) { out += tag("Receiving", "*") }
            out += "</msg:ObjectType>"
        }
        out += "</msg:AvailableObjectTypes>\n</msg:Header>\n"
        if let body { out += "<Body xmlns=\"\(format)\">\n\(body)</Body>\n" }
        return out + "</Message>\n"
    }
}

/// Kinds of objects that pass between us and a base.
enum EnterpriseKind {
    static let client = "Справочник.Контрагенты"
    static let good = "Справочник.Номенклатура"
    static let order = "Документ.ЗаказКлиента"
    static let deletion = "УдалениеОбъекта"
    static let payment = "Документ.ПБДСРасчетыСКонтрагентами"
    static let shipment = "Документ.РеализацияТоваровУслуг"

    static let sent: Set = [client, good, order]
    /// What is declared as taken is taken: whatever we confirm is gone from the base's queue (fact 7).
    static let taken: Set = [
        client, order, "Документ.СчетПокупателю", payment, "Документ.ПКОРасчетыСКонтрагентами",
        "Документ.РБДСРасчетыСКонтрагентами", "Документ.РКОРасчетыСКонтрагентами", "Документ.РеализацияТоваровУслуг",
        "Документ.ВозвратТоваровОтПокупателя", deletion,
    ]

    static let all = sent.union(taken)

    static func isTaken(_ name: String) -> Bool {
        isSameName(name, client) || isSameName(name, deletion) || of(name) != nil
    }

    /// `order`, `invoice`, `payment` …; nil for what concerns no order.
    static func of(_ name: String) -> String? {
        if isSameName(name, order) { return "order" }
        guard name.hasPrefix("Документ.") else { return nil }
        let own = name.dropFirst("Документ.".count)
        if own.hasPrefix("ПБДС") || own.hasPrefix("ПКО") { return "payment" }
        if own.hasPrefix("РБДС") || own.hasPrefix("РКО") { return "refund" }
        switch own {
        case "СчетПокупателю": return "invoice"
        case "РеализацияТоваровУслуг": return "shipment"
        case "ВозвратТоваровОтПокупателя": return "return"
        default: return nil
        }
    }
}

/// Reads a message: its head, and the objects that concern us, each as a text of its own.
final class EnterpriseMessageReader: XMLReader.Handler {
    /// An object of the base's, as it stands in the message.
    struct Told: Sendable {
        let id: ID
        /// A kind of ``EnterpriseKind/of(_:)``, or `deleted`.
        let kind: String
        /// The orders it names.
        let orders: [ID]
        let xml: String
        /// Of an order: the year and its number there, which no other order of that year has.
        var number: String?
        /// The number without the year.
        var ownNumber: String? { number.flatMap { $0.split(separator: " ", maxSplits: 1).last.map(String.init) } }
    }

    private(set) var header: EnterpriseHeader?
    private(set) var told: [Told] = []
    private(set) var cards: [ClientCard] = []
    /// Objects of other kinds, and of ours that name no order.
    private(set) var passedOver = 0
    /// Objects that should count and cannot be read, and why.
    private(set) var refused: [String] = []
    private var record = XMLRecordBuilder(limit: recordLimit)
    private var open: [String] = []
    /// The object that stands open is nobody's, or too large to be kept.
    private var isSkipping = false

    /// Bytes of one message, of one object in it, and objects that are kept of one, at most.
    static let sizeLimit = 64 * 1024 * 1024
    static let recordLimit = 4 * 1024 * 1024
    static let countLimit = 200_000

    static func read(_ bytes: [UInt8]) throws -> EnterpriseMessageReader {
        guard bytes.count <= sizeLimit else {
            throw XMLRefusal(reason: "сообщение больше \(sizeLimit) байт", isIncomplete: false)
        }
        let handler = EnterpriseMessageReader()
        try XMLReader(handler).read(bytes)
        guard handler.header != nil else { throw XMLRefusal(reason: "в сообщении нет заголовка", isIncomplete: false) }
        return handler
    }

    func start(_ name: String, _ attributes: XMLAttributes) throws {
        if open.isEmpty, name != "Message" {
            throw XMLRefusal(reason: "корень файла «\(name)», а ожидается «Message»", isIncomplete: false)
        }
        open.append(name)
        let isHeader = open.count == 2 && name == "Header"
        if open.count == 3, open[1] == "Body" {
            isSkipping = !EnterpriseKind.isTaken(name)
            if isSkipping { passedOver += 1 } else { try keep { try record.start(name, attributes) } }
        } else if record.isOpen || isHeader {
            try keep { try record.start(name, attributes) }
        }
    }

    func text(_ text: UnsafeBufferPointer<UInt8>) throws { try keep { try record.text(text) } }

    func end(_ name: String) throws {
        open.removeLast()
        if open.count == 2 { isSkipping = false }
        guard !isSkipping, let whole = record.end() else { return }
        if open.count == 1 { header = try EnterpriseHeader(whole) } else { try take(whole) }
    }

    /// One object that is too large must not keep the others of its message away.
    private func keep(_ piece: () throws -> Void) throws {
        guard !isSkipping else { return }
        do { try piece() } catch let refusal as XMLRefusal where open.count > 2 {
            refused.append(refusal.reason)
            record = XMLRecordBuilder(limit: Self.recordLimit)
            isSkipping = true
        }
    }

    private func take(_ object: XMLElement) throws {
        let keys = object.first("КлючевыеСвойства")
        if isSameName(object.name, EnterpriseKind.client) {
            if let card = EnterpriseOrderState.card(
                keys, isDeleted: OrderReport.isTrue(object.value("ПометкаУдаления")),
                history: EnterpriseOrderState.history(object))
            {
                cards.append(card)
            } else {
                refused.append("у карточки контрагента нет ссылки или имени")
            }
        } else if isSameName(object.name, EnterpriseKind.deletion) {
            guard let id = object.anywhere("Ссылка").flatMap({ ID($0.text) }) else {
                passedOver += 1
                return
            }
            told.append(Told(id: id, kind: "deleted", orders: [], xml: ""))
        } else if let kind = EnterpriseKind.of(object.name) {
            guard let id = keys?.value("Ссылка").flatMap({ ID($0) }) else {
                return refused.append("у объекта \(object.name) нет ссылки")
            }
            let orders = kind == "order" ? [id] : EnterpriseOrderState.shares(of: object, kind).map(\.order)
            // Without any it may have had one before.
            let own = keys?.value("Номер")?.nonEmpty.map {
                "\((keys?.value("Дата") ?? "").prefix(4)) \($0.prefix(100))"
            }
            told.append(
                Told(
                    id: id, kind: kind, orders: orders, xml: orders.isEmpty ? "" : object.xml,
                    number: kind == "order" ? own : nil))
        }
        guard told.count + cards.count <= Self.countLimit else {
            throw XMLRefusal(reason: "в сообщении больше \(Self.countLimit) объектов", isIncomplete: false)
        }
    }
}
