import Contracts
import Primitives

/// What an accounting system has changed about a document since it last told of it: there is no event for an edit, only another state (reference 57).
struct DocumentChange: Sendable, Equatable {
    let kind, onecId: String
    let number, day: String?
    /// What was and what is, in words.
    let words: String

    /// The kind of a change of the order's own document.
    static let order = "order"

    /// Days after which a change of a document is one of the past.
    static let lateDays = 3

    static func between(_ before: [ReportedDocument], _ now: [ReportedDocument]) -> [DocumentChange] {
        var changes: [DocumentChange] = []
        func note(_ document: ReportedDocument, _ words: String, before: ReportedDocument? = nil) {
            // Moved out of the past it has changed the past.
            let day = [before?.date, document.date].compactMap { $0 }.min()
            changes.append(
                DocumentChange(
                    kind: document.kind, onecId: document.onecId, number: document.number, day: day, words: words))
        }
        for document in now {
            guard let old = before.first(where: { $0.kind == document.kind && $0.onecId == document.onecId }) else {
                if !document.cancelled { note(document, "введён") }
                continue
            }
            if old.amount != document.amount {
                note(document, "сумма \(words(old.amount)) → \(words(document.amount))")
            }
            if old.date != document.date {
                note(document, "дата \(day(old.date)) → \(day(document.date))", before: old)
            }
            if old.posted != document.posted { note(document, document.posted ? "проведён" : "проведение отменено") }
            if old.cancelled != document.cancelled {
                note(document, document.cancelled ? "отменён или удалён" : "отмена снята")
            }
        }
        return changes
    }

    /// What has changed about the order's own document. Orders are worked on for weeks: none of it is of the past.
    static func between(_ before: ToldOrder, _ now: ToldOrder, onecId: String, number: String?) -> [DocumentChange] {
        var changes: [String] = []
        if let was = before.total, let total = now.total, was != total {
            changes.append("сумма \(words(was)) → \(words(total))")
        }
        if let was = before.posted, let posted = now.posted, was != posted {
            changes.append(posted ? "проведён" : "проведение отменено")
        }
        if before.cancelled != now.cancelled { changes.append(now.cancelled ? "отменён или удалён" : "отмена снята") }
        return changes.map { DocumentChange(kind: order, onecId: onecId, number: number, day: nil, words: $0) }
    }

    private static func words(_ money: Money?) -> String { money.map { HumanText.money($0) } ?? "—" }
    private static func day(_ text: String?) -> String { text.map { HumanText.day($0) } ?? "—" }
}

/// An order's own document as it was told; nil what was not told.
struct ToldOrder: Sendable, Equatable {
    var total: Money?
    var posted: Bool?
    var cancelled = false
}
