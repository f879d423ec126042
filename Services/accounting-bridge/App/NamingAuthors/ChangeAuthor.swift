import Postgres
import Primitives

/// Who made a change, as it is kept.
struct ChangeAuthor {
    let name: String?
    /// By the system's own clock: `2026-11-27T14:05:00`.
    let at: String?
    /// Why nobody knows, in words; with neither it has not been asked, or cannot be.
    let unknown: String?

    init(_ row: Row) throws {
        (name, at) = (try row.optionalString("by_whom"), try row.optionalString("by_whom_at"))
        unknown = try row.optionalString("by_whom_unknown")
    }

    /// To go on with behind the change; empty when nothing is known of it.
    var words: String {
        guard let name else { return unknown.map { " (кто изменил, неизвестно: \($0))" } ?? "" }
        let time = at.map { ", \(HumanText.moment($0)) по часам 1С" } ?? ""
        return " (последним записал в 1С: \(name)\(time))"
    }
}
