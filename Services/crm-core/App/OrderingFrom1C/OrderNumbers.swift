import FoundationEssentials
import Messaging
import Postgres
import Primitives
import ServiceKit

/// Gives orders their numbers: digits only, growing, never used twice, also after the database was restored from a
/// copy: a mark of what has been handed out is kept in a file outside it, ahead of use.
actor OrderNumbers {
    private let file: String
    private var marked: Int64?

    /// Numbers covered by one write of the file.
    private static let step: Int64 = 50
    /// УТ keeps the site's number in 11 characters (reference 38).
    static let limit: Int64 = 99_999_999_999

    init(data: String) { file = data + "/order-numbers.mark" }

    /// The next number; the caller's transaction holds the counter until it ends.
    func next(firstNumber: Int64, in transaction: EventTransaction) async throws -> String {
        let fromFile = marked ?? read()
        let row = try await transaction.query(
            "SELECT last FROM order_counter WHERE one FOR UPDATE")[0]
        let last = try row.int("last")
        // A counter below a file we did not write in this life: the database is an older copy.
        let floor = marked == nil ? max(last, fromFile) : last
        let next = max(floor + 1, firstNumber)
        guard next <= Self.limit else { throw Problem.conflict("the order numbers are used up") }
        try await transaction.query("UPDATE order_counter SET last = $1", [.int(next)])
        if next > (marked ?? -1) { try mark(next + Self.step) }
        return String(next)
    }

    private func read() -> Int64 {
        guard let data = try? Data(contentsOf: URL(filePath: file)),
            let value = Int64(String(decoding: data, as: UTF8.self).filter(\.isNumber))
        else { return 0 }
        return value
    }

    private func mark(_ value: Int64) throws {
        try Data("\(value)\n".utf8).write(to: URL(filePath: file), options: .atomic)
        marked = value
    }
}
