import Primitives
import ServiceKit

/// Where two bases tell of the same order's money, and not the same: the one that is authoritative counts, the other shows that something has not come
/// through between the two.
enum BooksCompared {
    private struct Kind: Hashable {
        let kind: String
        let currency: Currency
    }

    private static let words = [
        "payment": "оплат", "refund": "возвратов денег", "shipment": "отгрузок", "return": "возвратов товара",
    ]

    static func differences(_ order: String, _ told: [CountedMoney]) -> [Reconciliation.Difference] {
        let books = told.filter { $0.stands && $0.base != SuiteSettings.bankBooks }
        let kinds = Dictionary(grouping: books) { Kind(kind: $0.kind, currency: $0.amount.currency) }
        return kinds.sorted { ($0.key.kind, $0.key.currency.code) < ($1.key.kind, $1.key.currency.code) }.flatMap {
            kind, entries in
            func sum(_ some: [CountedMoney]) -> Money { some.reduce(Money.zero(kind.currency)) { $0 + $1.amount } }
            let counted = sum(entries.filter(\.counted))
            let seen = Dictionary(grouping: entries.filter { !$0.counted }, by: \.base)
            return seen.sorted { $0.key < $1.key }.compactMap { base, entries -> Reconciliation.Difference? in
                let other = sum(entries)
                guard other != counted else { return nil }
                let what = Self.words[kind.kind] ?? kind.kind
                return Reconciliation.Difference(
                    key: "\(base)/\(kind.kind)/…/\(order)", orderNumber: order, books: other, crm: counted,
                    report: counted,
                    words:
                        "база \(base) видит \(what) на \(HumanText.money(other)), а база, где их учитывают, — на \(HumanText.money(counted)): проверьте обмен между базами",
                    isBetweenBases: true)
            }
        }
    }
}
