import Contracts
import Primitives
import Sodium

/// An order that was made in the accounting system itself: nobody asked us for it.
struct BornOrder: Sendable {
    /// The system's own id of it.
    let key: String
    /// As the system numbers it.
    let number: String?
    /// The document's date, `2026-01-31`.
    let day: String?
    let total: Money
    /// Its client's card: as the document shows it, or only the card's id.
    var client: ClientCard?
    var cardId: String?
    /// Of which of our organizations it is; nil where the exchange does not tell it.
    var organizationINN: String?
    var lines: [OrderLine] = []

    /// Lines that are kept of one, and characters of a number in what people call it.
    static let lineLimit = 1000
    private static let numberLimit = 50

    /// Whether an order of this number cannot be one that we have asked for: ours are digits, eleven at most, and begin with no nought.
    static func isOne(_ number: String) -> Bool {
        !(1...11).contains(number.utf8.count) || number.hasPrefix("0")
            || !number.utf8.allSatisfy { (48...57).contains($0) }
    }

    /// What it is known by everywhere: the id that its base has for it, or, where that is no UUID, one that is always the same.
    func id(in base: String) -> ID { ID(key) ?? ID(digest: sha256(Array("\(base)\n\(key)".utf8))) }

    /// What people call it: `ТД00-000012 (ut, 2026)`. A slash ends the names of facts, so there is none.
    ///
    /// - Parameter isTaken: another order is called that already: then its id tells them apart.
    func name(in base: String, isTaken: Bool) -> String {
        let own = String((number ?? "без номера").prefix(Self.numberLimit)).replacing("/", with: "-")
        let mark = isTaken || number == nil ? id(in: base).description.prefix(8) : nil
        let place = [base, day.map { String($0.prefix(4)) }, mark.map(String.init)].compactMap { $0 }
        return "\(own) (\(place.joined(separator: ", ")))"
    }
}

extension Quantity {
    /// As 1C writes it: a point or a comma, perhaps blanks between thousands.
    init?(onec text: String?) {
        guard let text else { return nil }
        self.init(String(text.compactMap { $0 == "," ? "." : $0.isWhitespace ? nil : $0 }))
    }
}
