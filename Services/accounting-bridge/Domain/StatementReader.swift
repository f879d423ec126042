import Primitives

/// The state of reading: one line after another.
struct StatementReader {
    private enum Section {
        case header, account
        case document(line: Int, kind: String)
    }
    private(set) var header: [String: String] = [:]
    private(set) var accounts: [BankStatement.Account] = []
    private(set) var documents: [BankStatement.Document] = []
    private(set) var refused: [BankStatement.Refusal] = []
    private(set) var askedKinds: [String] = []
    private let fallback: Currency
    private var ownAccounts: Set<String> = []
    private var section = Section.header
    private var fields: [String: String] = [:]
    /// The field that a line without a tag goes on with (reference c.17).
    private var continued: String?
    private var raw: [(line: Int, kind: String, fields: [String: String])] = []

    init(fallback: Currency) { self.fallback = fallback }

    mutating func read(_ text: String) throws {
        var number = 0
        var isClosed = false
        for line in Self.lines(text) {
            number += 1
            if number == 1 {
                guard line.trimmed.lowercased() == "1cclientbankexchange" else {
                    throw StatementRefusal(
                        reason: "это не выписка для 1С: первая строка не «1CClientBankExchange»", line: 1)
                }
                continue
            }
            guard line.utf8.count <= BankStatement.lineLimit * 4 else {
                throw StatementRefusal(reason: "строка длиннее \(BankStatement.lineLimit) знаков", line: number)
            }
            if line.trimmed.lowercased() == "конецфайла" {
                isClosed = true
                break
            }
            try take(line, number)
        }
        guard number > 0 else { throw StatementRefusal(reason: "файл пуст", line: 1) }
        guard isClosed else {
            throw StatementRefusal(
                reason: "файл обрывается: в конце нет строки «КонецФайла», выгрузите его из банка ещё раз", line: number
            )
        }
        if case .document(let line, let kind) = section {
            refused.append(.init(line: line, reason: "документ «\(kind)» не закрыт строкой «КонецДокумента»"))
        }
        for document in raw { understand(document.line, document.kind, document.fields) }
    }

    /// CRLF, LF, and CR alone.
    private static func lines(_ text: String) -> [String] {
        let separator: UInt8 = text.utf8.contains(10) ? 10 : 13
        return text.utf8.split(separator: separator, omittingEmptySubsequences: false).map { bytes in
            String(Substring(bytes.last == 13 ? bytes.dropLast() : bytes))
        }
    }

    private mutating func take(_ line: String, _ number: Int) throws {
        let (tag, value) = Self.split(line)
        switch (section, tag) {
        case (_, "секциярасчсчет"):
            refuseOpen("начат счёт")
            section = .account
            fields = [:]
            continued = nil
        case (.account, "конецрасчсчет"): closeAccount()
        case (_, "секциядокумент"):
            refuseOpen("начат другой")
            if case .account = section { closeAccount() }
            section = .document(line: number, kind: value.trimmed)
            fields = [:]
            continued = nil
        case (.document(let start, let kind), "конецдокумента"):
            guard raw.count < BankStatement.countLimit else {
                throw StatementRefusal(reason: "в выписке больше \(BankStatement.countLimit) документов", line: number)
            }
            raw.append((start, kind, fields))
            section = .header
        case (.header, _): keepHeader(tag, value)
        case (_, let tag): keep(tag, value, line)
        }
    }

    private mutating func refuseOpen(_ why: String) {
        guard case .document(let line, let kind) = section else { return }
        refused.append(.init(line: line, reason: "документ «\(kind)» не закрыт: \(why)"))
    }

    private mutating func keepHeader(_ tag: String, _ value: String) {
        switch tag {
        case "расчсчет": if let account = value.meaning { ownAccounts.insert(account) }
        case "документ": if let kind = value.meaning { askedKinds.append(kind) }
        default: if header[tag] == nil { header[tag] = value.meaning }
        }
    }

    private static let continuable: Set = [
        "плательщик", "плательщик1", "получатель", "получатель1", "назначениеплатежа",
    ]

    private mutating func keep(_ tag: String, _ value: String, _ line: String) {
        guard line.contains("=") else {
            if let continued, !line.trimmed.isEmpty { fields[continued, default: ""] += "\n" + line.trimmed }
            return
        }
        // A turnover of zero says something: that nothing moved.
        let kept = tag.hasPrefix("всего") && !value.trimmed.isEmpty ? value.trimmed : value.meaning
        if fields[tag] == nil, let kept { fields[tag] = kept }
        continued = Self.continuable.contains(tag) ? tag : nil
    }

    private mutating func closeAccount() {
        section = .header
        guard let number = fields["расчсчет"] else { return }
        ownAccounts.insert(number)
        let currency = Self.currency(of: number) ?? fallback
        func sum(_ tag: String) -> Money? {
            guard let text = fields[tag] else { return nil }
            return Self.signed(text, currency)
        }
        accounts.append(
            .init(
                number: number, from: fields["датаначала"].flatMap(Self.day), to: fields["датаконца"].flatMap(Self.day),
                opening: sum("начальныйостаток"), received: sum("всегопоступило"), spent: sum("всегосписано"),
                closing: sum("конечныйостаток")))
    }

    private static func split(_ line: String) -> (tag: String, value: String) {
        guard let mark = line.utf8.firstIndex(of: UInt8(ascii: "=")) else { return (line.trimmed.lowercased(), "") }
        return (
            String(line[..<mark]).trimmed.lowercased(), String(line[line.utf8.index(after: mark)...])
        )
    }

    // MARK: what a document says

    private mutating func understand(_ line: Int, _ kind: String, _ fields: [String: String]) {
        func refuse(_ reason: String) { refused.append(.init(line: line, reason: "«\(kind)»: \(reason)")) }
        let payer = Self.party("плательщик", fields)
        let payee = Self.party("получатель", fields)
        let received = fields["датапоступило"].flatMap(Self.day)
        let charged = fields["датасписано"].flatMap(Self.day)
        let account: String
        let direction: BankStatement.Document.Direction
        let isOurs = (payer: isOwn(payer.account), payee: isOwn(payee.account))
        switch (isOurs.payer, isOurs.payee) {
        case (false, true): (account, direction) = (payee.account ?? "", .income)
        case (true, false): (account, direction) = (payer.account ?? "", .outgo)
        case (true, true):
            // Between two accounts of ours: it comes in where it is said to have come in.
            direction = received != nil && charged == nil ? .income : .outgo
            account = (direction == .income ? payee.account : payer.account) ?? ""
        case (false, false):
            guard (received != nil) != (charged != nil) else {
                return refuse("не понять, приход это или расход: ни одного нашего счёта и нет даты поступления")
            }
            direction = received != nil ? .income : .outgo
            account = ownAccounts.count == 1 ? ownAccounts.first ?? "" : ""
        }
        guard
            let date = (direction == .income ? received ?? charged : charged ?? received)
                ?? fields["дата"].flatMap(Self.day)
        else { return refuse("нет даты, которую можно прочитать") }
        guard let text = fields["сумма"] else { return refuse("нет суммы") }
        guard let sum = Self.signed(text, Self.currency(of: account) ?? fallback) else {
            return refuse("сумма «\(text.prefix(40))» не читается")
        }
        guard sum.minor != 0 else { return refuse("сумма равна нулю") }
        let short = [fields["номер"], payer.inn, payee.inn, payer.kpp, payee.kpp, payer.account, payee.account]
        guard short.allSatisfy({ ($0?.utf8.count ?? 0) <= BankStatement.shortLimit }) else {
            return refuse("номер, ИНН, КПП или счёт длиннее \(BankStatement.shortLimit) байт")
        }
        let parts = (1...6).compactMap { fields["назначениеплатежа\($0)"] }
        documents.append(
            .init(
                line: line, kind: kind, number: fields["номер"] ?? "", date: date,
                amount: Money(minor: abs(sum.minor), currency: sum.currency), direction: direction, account: account,
                payer: payer, payee: payee,
                purpose: fields["назначениеплатежа"] ?? parts.joined(separator: " ")))
    }

    private func isOwn(_ account: String?) -> Bool { account.map { ownAccounts.contains($0) } ?? false }

    private static func party(_ prefix: String, _ fields: [String: String]) -> BankStatement.Party {
        let name = fields[prefix + "1"] ?? fields[prefix]
        return .init(
            name: name.map { String(Self.withoutTaxNumber($0).prefix(BankStatement.nameLimit)) },
            inn: fields[prefix + "инн"], kpp: fields[prefix + "кпп"],
            account: fields[prefix + "расчсчет"] ?? fields[prefix + "счет"], bank: fields[prefix + "банк1"],
            bic: fields[prefix + "бик"])
    }

    /// Banks write `ИНН 7707083893 ООО Ромашка` into the name.
    private static func withoutTaxNumber(_ name: String) -> String {
        guard name.lowercased().hasPrefix("инн ") else { return name }
        let rest = name.dropFirst(4).drop { $0.isNumber || $0 == " " }
        return rest.isEmpty ? name : String(rest)
    }

    /// `31.01.2026`, also `31.01.26` and `2026-01-31`.
    static func day(_ text: String) -> String? {
        let parts = text.prefix { $0 != " " && $0 != "T" }.split { $0 == "." || $0 == "-" || $0 == "/" }.map(
            String.init)
        guard parts.count == 3 else { return nil }
        let isISO = parts[0].count == 4
        var year = isISO ? parts[0] : parts[2]
        if year.count == 2 { year = "20" + year }
        func two(_ text: String) -> String { text.count == 1 ? "0" + text : text }
        let day = "\(year)-\(two(parts[1]))-\(two(isISO ? parts[2] : parts[0]))"
        guard day.utf8.count == 10, day >= "1990", let moment = Timestamp(day), moment.day == day else { return nil }
        return day
    }

    private static func signed(_ text: String, _ currency: Currency) -> Money? {
        // Some banks write kopecks behind a hyphen, as on paper: `45000-00`.
        let plain = text.trimmed
        if let mark = plain.lastIndex(of: "-"), mark != plain.startIndex,
            plain.distance(from: mark, to: plain.endIndex) == 3
        {
            return OrderReport.money(plain.replacing("-", with: ".", maxReplacements: 1), currency)
        }
        return OrderReport.money(plain, currency)
    }

    /// Digits 6 to 8 of a Russian account are its currency's code; 810 is the rouble within Russia.
    static func currency(of account: String) -> Currency? {
        let digits = Array(account)
        guard digits.count == 20, digits.allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
        return switch String(digits[5..<8]) {
        case "810", "643": .rub
        case "398": .kzt
        case "840": Currency("USD")
        case "978": Currency("EUR")
        case "156": Currency("CNY")
        case "933": Currency("BYN")
        default: nil
        }
    }
}

extension String {
    /// The value as 1C takes it: trimmed; empty and all zeros mean nothing (reference c.17).
    fileprivate var meaning: String? {
        let value = trimmed
        return value.isEmpty || value.allSatisfy({ $0 == "0" }) ? nil : value
    }
}
