import Contracts
import Primitives
import ServiceKit

/// Where two bases tell of the same order's money, and not the same: the one that is authoritative counts, the other shows that something has not come
/// through between the two.
struct BooksCompared: Sendable {
    let differences: [Reconciliation.Difference]

    private struct Place: Hashable {
        let order, kind: String
        let currency: Currency
    }

    /// - Parameter told: what the bridge knows of money, document by document.
    init(_ told: [RawJSON]) {
        var (kept, seen) = ([Place: Money](), [Place: [String: Money]]())
        for item in told where item["stands"] == .bool(true) {
            guard let base = item["base"]?.stringValue, base != SuiteSettings.bankBooks,
                let order = item["orderNumber"]?.stringValue, let kind = item["kind"]?.stringValue,
                let amount = Reconciliation.money(item["amount"])
            else { continue }
            let place = Place(order: order, kind: kind, currency: amount.currency)
            if item["counted"] == .bool(true) {
                kept[place] = (kept[place] ?? .zero(amount.currency)) + amount
            } else {
                seen[place, default: [:]][base] = (seen[place]?[base] ?? .zero(amount.currency)) + amount
            }
        }
        differences = seen.sorted { ($0.key.order, $0.key.kind) < ($1.key.order, $1.key.kind) }.flatMap {
            place, bases in
            let counted = kept[place] ?? .zero(place.currency)
            return bases.filter { $0.value != counted }.sorted { $0.key < $1.key }.map { base, sum in
                let what = place.kind == "refund" ? "возвратов" : "оплат"
                return Reconciliation.Difference(
                    key: "\(base)/\(place.kind)/*/\(place.order)", orderNumber: place.order, books: sum, crm: counted,
                    report: counted,
                    words:
                        "база \(base) видит \(what) на \(HumanText.money(sum)), а база, где их учитывают, — на \(HumanText.money(counted)): проверьте обмен между базами"
                )
            }
        }
    }
}
