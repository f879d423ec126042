import Primitives

/// A bank's statement in 1C's exchange format, `1CClientBankExchange` 1.01–1.03, read as leniently as 1C reads it
/// (reference c.13–21; the format is described at v8.1c.ru/edi/edi_stnd/100/101.htm): tags in any case, CRLF or LF, unknown tags
/// passed over, the first value of a repeated tag kept, sums with a point or a comma.
struct BankStatement: Sendable {
    /// `СекцияРасчСчет`: one of our accounts over some days.
    struct Account: Sendable {
        var number = ""
        var from, to: String?
        var opening, received, spent, closing: Money?
    }
    struct Party: Sendable, Equatable {
        let name, inn, kpp, account, bank, bic: String?
    }
    /// `СекцияДокумент`, with where its money went as seen from our account.
    struct Document: Sendable {
        enum Direction: String, Sendable {
            case income = "in"
            case outgo = "out"
        }
        /// The line that its section begins on.
        let line: Int
        let kind: String
        let number: String
        /// The day that the money moved, `2026-01-31`: received, else written off, else the document's own.
        let date: String
        let amount: Money
        let direction: Direction
        /// Our account.
        let account: String
        let payer, payee: Party
        let purpose: String

        /// Who stands on the other side.
        var other: Party { direction == .income ? payer : payee }
        var own: Party { direction == .income ? payee : payer }
    }
    struct Refusal: Sendable, Equatable {
        let line: Int
        let reason: String
    }

    let encoding: ForeignText.Encoding
    let version, sender: String?
    let accounts: [Account]
    let documents: [Document]
    /// Sections that could not be used, each with what is wrong.
    let refused: [Refusal]
    /// Kinds of documents that were asked for (`Документ=`): the file holds no others. Empty: all.
    let askedKinds: [String]
    /// When the bank made the file, by its own clock: `2026-01-31 10:03:13`. Nil: it does not say.
    let madeAt: String?

    /// Bytes of a file, its documents, and characters of a line at most.
    static let sizeLimit = 16 * 1024 * 1024
    static let countLimit = 50_000
    static let lineLimit = 10_000
    /// Bytes of a number, an INN or an account, and characters of a name, at most.
    static let shortLimit = 100
    static let nameLimit = 250

    /// - Parameter fallback: the currency of an account whose number does not tell it.
    /// - Throws: ``StatementRefusal`` when the file as a whole is none, or is cut.
    init(_ bytes: [UInt8], fallback: Currency) throws {
        guard bytes.count <= Self.sizeLimit else {
            throw StatementRefusal(reason: "выписка больше \(Self.sizeLimit) байт", line: 1)
        }
        let source = ForeignText(bytes)
        var reader = StatementReader(fallback: fallback)
        try reader.read(source.text)
        encoding = source.encoding
        (version, sender) = (reader.header["версияформата"], reader.header["отправитель"])
        (accounts, documents, refused) = (reader.accounts, reader.documents, reader.refused)
        askedKinds = reader.askedKinds
        agreements = Self.compare(reader.accounts, reader.documents)
        madeAt = reader.header["датасоздания"].flatMap { StatementReader.day($0) }.flatMap { day in
            // Without its time a file cannot be told from another of its day.
            let time = (reader.header["времясоздания"] ?? "").wholeMatch(of: /(\d{1,2}):([0-5]\d)(?::([0-5]\d))?/)
            guard let time, let hour = Int(time.1), hour < 24 else { return nil }
            return "\(day) \(hour < 10 ? "0" : "")\(hour):\(time.2):\(time.3 ?? "00")"
        }
    }

    /// Accounts → whether their documents add up to what their sections say came in and went out. An account whose sections say nothing is not
    /// in it. Only a file that agrees with itself may tell that a document of its days is gone.
    let agreements: [String: Bool]

    func agrees(_ account: String) -> Bool? { agreements[account] }

    private static func compare(_ accounts: [Account], _ documents: [Document]) -> [String: Bool] {
        /// In and out; nil once a sum does not fit.
        typealias Turnover = (income: Int64, outgo: Int64)?
        func add(_ turnover: Turnover, _ income: Int64, _ outgo: Int64) -> Turnover {
            guard let turnover else { return nil }
            let (i, tooMuchIn) = turnover.income.addingReportingOverflow(income)
            let (o, tooMuchOut) = turnover.outgo.addingReportingOverflow(outgo)
            return tooMuchIn || tooMuchOut ? nil : (i, o)
        }
        var told: [String: Turnover] = [:]
        for section in accounts {
            let before: Turnover = told[section.number, default: (0, 0)]
            told[section.number] = .some(
                section.received.flatMap { received in section.spent.flatMap { add(before, received.minor, $0.minor) } }
            )
        }
        var found: [String: Turnover] = [:]
        for document in documents {
            let before: Turnover = found[document.account, default: (0, 0)]
            let isIncome = document.direction == .income
            found[document.account] = .some(
                add(before, isIncome ? document.amount.minor : 0, isIncome ? 0 : document.amount.minor))
        }
        return told.compactMapValues { $0 }.reduce(into: [:]) { agreements, entry in
            let sum: Turnover = found[entry.key, default: (0, 0)]
            agreements[entry.key] = sum.map { $0 == entry.value } ?? false
        }
    }
}

/// Why a file is no statement that can be used.
struct StatementRefusal: Error {
    let reason: String
    let line: Int
}
