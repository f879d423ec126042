import Contracts
import Primitives

/// An accounting system that the bridge talks to by itself: gives it orders, and asks what has become of them. Bases of «обмен с сайтом» are no
/// such system, for they come to us (`ExchangingOrders`).
///
/// Every driver passes the same conformance suite (`Tests/SuiteTests/test_conformance.py`).
protocol AccountingDriver: Sendable {
    /// Whether the system has what the exchange needs.
    ///
    /// What only limits it stands in ``limits`` afterwards.
    ///
    /// - Throws: ``DriverFailure/unfit(_:)`` with everything without which nothing goes, ``DriverFailure/away(_:)``.
    func check(_ wire: ExchangeWire) async throws

    /// Looks the order up by its key. The only way out of doubt.
    func find(_ order: OutgoingOrder, _ wire: ExchangeWire) async throws -> TakenOrder?

    /// Gives it the order. Given again, a system that knows keys answers with what it has (``TakenOrder/wasThere``).
    ///
    /// - Throws: ``DriverFailure``, which says whether it may have been done.
    func give(_ order: OutgoingOrder, _ wire: ExchangeWire) async throws -> TakenOrder

    /// Does what is still to be done with an order that was found, such as posting it.
    func complete(_ taken: TakenOrder, _ wire: ExchangeWire) async throws -> TakenOrder

    /// Whether it tells without being asked for an order.
    var tellsUnasked: Bool { get }

    /// What it turned out to lack since the last check, in words.
    var limits: [String] { get }

    /// What the system tells now: of the orders asked for, or of whatever it has put down for us.
    func read(_ asked: [AskedOrder], _ wire: ExchangeWire) async throws -> [HeardReport]

    /// The system has given the order back: it is not there any more.
    func release(order number: String) async throws

    /// What was read is kept or set aside: the system may forget it.
    func accept(_ heard: [HeardReport]) async throws

    /// Whether it can be asked who has changed something.
    var tellsAuthors: Bool { get }

    /// Who made changes that it has told of; those that it does not answer now are left out, and may be asked again.
    func findAuthors(of changes: [ToldChange], _ wire: ExchangeWire) async throws -> [FoundAuthor]

    /// Whether its cards of counterparties can be read before it is given the first order.
    var tellsCards: Bool { get }

    /// Cards of counterparties from a place on, the beginning when it is nil; nil when the system tells none.
    ///
    /// - Parameter place: as the page before named it.
    func cards(from place: String?, _ wire: ExchangeWire) async throws -> ClientPage?

    /// Goods from a place on, the beginning when it is nil; nil when the system is not asked for them, or does not show them.
    ///
    /// - Parameter place: as the page before named it.
    func goods(from place: String?, _ wire: ExchangeWire) async throws -> ToldGoods?

    /// Where a person opens the order's document in the system; nil when it has no such place.
    func link(toOrder onecId: String) -> String?

    /// What an exchange's bytes tell, read once more; nil when the system itself has to be asked again.
    func understand(_ bytes: [UInt8], from target: String) throws -> [OrderReport]?
}

extension AccountingDriver {
    var tellsAuthors: Bool { false }
    func findAuthors(of changes: [ToldChange], _ wire: ExchangeWire) async throws -> [FoundAuthor] { [] }
    func goods(from place: String?, _ wire: ExchangeWire) async throws -> ToldGoods? { nil }
}

/// A system whose exchange is files: what a person carries is put where the system itself would put it.
protocol ExchangesFiles: AccountingDriver {
    /// - Returns: the name under which it lies there.
    func put(_ bytes: [UInt8], named: String?) async throws -> String
}

/// An order on its way out, with the day it was asked for as the base's clock has it. Its id is the key by which it is never made twice.
struct OutgoingOrder: Sendable {
    let order: OrderRequested
    let day: String
    /// The client's card there, once it is known: its id, and its name as the system writes it. A system that looks a client up by name would make a
    /// double of one whom we call otherwise.
    var card: (id: String, name: String, fullName: String?)?
    /// The system's ids of goods by their articles, where it has told of exactly one by that article.
    var goods: [String: String] = [:]
}

/// An order that the system has.
struct TakenOrder: Sendable {
    var onecId, onecNumber: String?
    /// It was there before: sent blindly, it would have been made twice.
    var wasThere = false
    /// Whether it is posted there; nil when that means nothing.
    var isPosted: Bool?
    /// What keeps it from being whole there, such as a refusal to post it.
    var warning: String?
}

/// An order of ours whose state is asked for.
struct AskedOrder: Sendable {
    let id: ID
    let number: String
    /// The key that its own base has for it.
    let onecId: String?
    let currency: Currency
    /// It was given to another base: this one keeps some kinds of its documents, and may not have the order itself.
    var isOthers = false
    /// This base has told of it before.
    var wasTold = false
    /// It was made there: gone there, it is gone.
    var isBorn = false
}

/// What one exchange told of one order, or why it cannot be understood.
struct HeardReport: Sendable {
    let exchange: ID
    /// Of what it speaks, as the system calls it: a file's name, an order's number.
    let subject: String
    let number: String?
    /// Nil when nothing is told of any order.
    let result: Result<OrderReport, DriverFailure>?
    /// The system must keep it: it could not be read.
    var isKept = false
}

/// A change of a document or a good that a system has told, by whom is not known yet.
struct ToldChange: Sendable, Equatable {
    /// The kind of a change of a good; the others are a document's.
    static let good = "good"

    let id: ID
    let kind, onecId: String
    /// When the state before it was told, and when it was: it was made between the two.
    let since, until: Timestamp
}

/// Who made a change, or why that cannot be known.
struct FoundAuthor: Sendable, Equatable {
    enum Finding: Sendable, Equatable {
        /// - Parameter at: `2026-11-27T14:05:00`, by the system's clock.
        case found(name: String, at: String)
        case unknown(String)
    }
    let change: ID
    let finding: Finding
}

/// Why a system did not do what it was asked.
enum DriverFailure: Error, Sendable, Equatable {
    /// It was not reached, or said that it does not work: nothing has happened there.
    case away(String)
    /// The answer did not come, or not whole: it may have been done.
    case doubtful(String)
    /// It refuses this one thing, and would again.
    case refused(String)
    /// It is not what the exchange is set up for: every thing that is missing.
    case unfit([String])

    /// Somebody else holds what is to be written: no refusal, nothing was done, and it is nobody's fault.
    var isSomebodyElses: Bool {
        guard case .away(let why) = self else { return false }
        return why.contains("Конфликт блокировок") || why.contains("время ожидания предоставления блокировки")
    }

    /// The system has answered: no, or that it has no such thing.
    var isAnswer: Bool {
        switch self {
        case .away, .doubtful: false
        case .refused, .unfit: true
        }
    }

    var words: String {
        switch self {
        case .away(let why), .doubtful(let why), .refused(let why): why
        case .unfit(let missing): missing.joined(separator: "; ")
        }
    }
}
