import FoundationEssentials
import Messaging
import Postgres
import Primitives
import ServiceKit

/// Gives orders their numbers: digits only, growing, never used twice, also after the database was restored from a
/// copy: the last one handed out stands in a file outside it, written before the number is used.
actor OrderNumbers {
    private let file: String
    private var lastGiven: Int64?

    /// УТ keeps the site's number in 11 characters (reference 38).
    static let limit: Int64 = 99_999_999_999

    init(data: String) { file = data + "/order-numbers.mark" }

    /// The next number; the caller's transaction holds the counter until it ends. A number whose transaction does not
    /// commit is not given again.
    func next(firstNumber: Int64, in transaction: EventTransaction) async throws -> String {
        let counted = try await transaction.query("SELECT last FROM order_counter WHERE one FOR UPDATE")[0].int("last")
        let given = lastGiven ?? read()
        let next = max(counted + 1, given + 1, firstNumber)
        guard next <= Self.limit else { throw Problem.conflict("the order numbers are used up") }
        try mark(next)
        transaction.write("UPDATE order_counter SET last = $1", [.int(next)])
        return String(next)
    }

    private func read() -> Int64 {
        guard let data = try? Data(contentsOf: URL(filePath: file)) else { return 0 }
        return Int64(String(decoding: data, as: UTF8.self).filter(\.isNumber)) ?? 0
    }

    private func mark(_ value: Int64) throws {
        try PrivateFile.write(file, "\(value)\n")
        lastGiven = value
    }
}
