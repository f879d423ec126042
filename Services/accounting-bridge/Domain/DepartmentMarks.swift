import Contracts
import Primitives

/// What the people of a department set on an order: «Исполнено: Бухгалтерия» = true, with «Исполнил: Бухгалтерия» and «Дата исполнения: Бухгалтерия»
/// beside it, as attributes of the order.
enum DepartmentMarks {
    static func read(_ attributes: [String: String]) -> [ReportedFlag] {
        var (done, by, at) = ([String: String](), [String: String](), [String: String]())
        for (name, value) in attributes {
            if let department = department(name, "исполнено") { done[department] = value }
            if let department = department(name, "исполнил") { by[department] = value.nonEmpty }
            if let department = department(name, "дата исполнения") { at[department] = value }
        }
        return done.map { department, value in
            ReportedFlag(
                department: department, done: OrderReport.isTrue(value), by: by[department],
                at: at[department].flatMap { Timestamp($0) })
        }.sorted { $0.department < $1.department }
    }

    private static func department(_ name: String, _ word: String) -> String? {
        guard name.lowercased().hasPrefix(word) else { return nil }
        let rest = name.dropFirst(word.count)
        guard let mark = rest.first, " :(.".contains(mark) else { return nil }
        return String(rest.drop { " :(.".contains($0) }.prefix { $0 != ")" }).trimmed.nonEmpty
    }
}
