import Contracts
import ServiceKit

/// Whose word counts (rule 1 of the domain): for each kind of document of an organization exactly one base is authoritative, so that the same payment
/// seen in two of them counts once. It is the base that the order was given to, unless the settings name another (`books`).
struct BookAuthority: Sendable {
    /// By organization and kind of document, where another base than the order's is named.
    let keepers: [String: [String: String]]

    init(keepers: [String: [String: String]]) { self.keepers = keepers }

    init(_ organizations: [SuiteSettings.Organization]) {
        keepers = Dictionary(
            uniqueKeysWithValues: organizations.map { organization in
                let kinds = SuiteSettings.Organization.documentKinds
                return (organization.code, kinds.reduce(into: [:]) { $0[$1] = organization.keeper(of: $1) })
            })
    }

    func keeper(of kind: String, _ organization: String, order base: String) -> String {
        keepers[organization]?[kind] ?? base
    }

    /// The bases that tell of an organization's orders beside the one that an order was given to.
    func others(_ organization: String, order base: String) -> Set<String> {
        Set(keepers[organization, default: [:]].values).subtracting([base])
    }

    /// A document as it stands among those of an order that was given to `order`: by whom it is told, and whether it counts.
    func mark(_ document: ReportedDocument, by base: String, _ organization: String, order: String) -> ReportedDocument
    {
        var marked = document
        marked.base = base == order ? nil : base
        marked.counts = keeper(of: document.kind, organization, order: order) == base ? nil : false
        return marked
    }
}

/// The documents of one order, by whichever base they were told.
struct ToldDocuments: Sendable {
    private(set) var all: [ReportedDocument]

    /// Puts what a base tells now in the place of what it told before.
    ///
    /// - Parameters:
    ///   - base: nil: the order's own.
    ///   - isWhole: it tells all of them: what is missing is gone. After another report that stands as it was.
    /// - Returns: what was there before, and what is gone since.
    mutating func tell(_ told: [ReportedDocument], by base: String?, isWhole: Bool)
        -> (before: [ReportedDocument], vanished: [ReportedDocument])
    {
        let before = all.filter { $0.base == base }
        let missing = before.filter { old in !told.contains { $0.kind == old.kind && $0.onecId == old.onecId } }
        all = all.filter { $0.base != base } + told + (isWhole ? [] : missing)
        return (before, isWhole ? missing.filter { !$0.cancelled }.map(Self.cancelled) : [])
    }

    private static func cancelled(_ document: ReportedDocument) -> ReportedDocument {
        ReportedDocument(
            kind: document.kind, onecId: document.onecId, number: document.number, date: document.date,
            amount: document.amount, posted: document.posted, cancelled: true, base: document.base,
            counts: document.counts, link: document.link)
    }
}

extension ReportedDocument {
    /// What it says, without who tells it, whether that counts, and where it is opened.
    var content: ReportedDocument {
        ReportedDocument(
            kind: kind, onecId: onecId, number: number, date: date, amount: amount, posted: posted,
            cancelled: cancelled)
    }
}
