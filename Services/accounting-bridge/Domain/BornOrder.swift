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
    /// Of which of our organizations it is, by its INN or its code; nil where the exchange does not tell it.
    var organization: String?
    var lines: [OrderLine] = []

    /// Lines that are kept of one, bytes of all of them about (an event has room for twice as many), and characters of a number in what people call it.
    static let lineLimit = 1000
    private static let lineBytes = 100 * 1024
    private static let numberLimit = 50

    /// As many of its lines as an event has room for.
    var fittingLines: [OrderLine] {
        var size = 0
        return Array(
            lines.prefix(Self.lineLimit).prefix { line in
                size += 150 + line.sku.utf8.count + line.name.utf8.count + (line.unit?.utf8.count ?? 0)
                return size <= Self.lineBytes
            })
    }

    /// A line as the system tells it, within bounds.
    static func line(
        sku: String?, name: String, quantity: Quantity, price: Quantity, unit: String?, sum: Money
    ) -> OrderLine {
        OrderLine(
            sku: String((sku ?? "").prefix(100)), name: String(name.prefix(250)), quantity: quantity, price: price,
            unit: unit.map { String($0.prefix(50)) }, vat: nil, discount: nil, sum: sum)
    }

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
        let own = String((number ?? "без номера").withoutNUL.prefix(Self.numberLimit)).replacing("/", with: "-")
        let mark = isTaken || number == nil ? id(in: base).description.prefix(8) : nil
        let place = [base, day.map { String($0.prefix(4)) }, mark.map(String.init)].compactMap { $0 }
        return "\(own) (\(place.joined(separator: ", ")))"
    }
}

extension Quantity {
    /// As 1C writes it: a point or a comma, perhaps blanks between thousands; what has more places than ours is rounded half away from zero.
    init?(onec text: String?) {
        guard let text else { return nil }
        let plain = String(text.compactMap { $0 == "," ? "." : $0.isWhitespace ? nil : $0 })
        let parts = plain.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[1].count > Self.places,
            parts[1].allSatisfy({ $0.isASCII && $0.isNumber }),
            let cut = Quantity("\(parts[0]).\(parts[1].prefix(Self.places))")
        else {
            self.init(plain)
            return
        }
        let isUp = parts[1].dropFirst(Self.places).first.map { $0 >= "5" } ?? false
        let (sum, isTooLarge) = cut.tenThousandths.addingReportingOverflow(isUp ? plain.hasPrefix("-") ? -1 : 1 : 0)
        guard !isTooLarge else { return nil }
        self.init(tenThousandths: sum)
    }
}
