import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit
import Sodium

/// Takes a bank's statement: every document is kept once, however often its days are loaded; what is no longer in a file that tells the
/// same days, and agrees with its own turnovers, has vanished; what came in is matched to orders.
struct BankStatements: Sendable {
    let bus: EventBus
    let settings: SuiteSettings
    let matching: BankMatching

    struct Report: AnswerShape {
        struct Account: AnswerShape {
            let account: String
            let from, to: String?
            let received, spent: Money?
            /// Whether the documents add up to the turnovers; nil when the file tells none.
            let agrees: Bool?
        }
        struct Refusal: AnswerShape {
            let line: Int
            let reason: String
        }
        let id, exchangeId: ID
        let encoding: String
        let accounts: [Account]
        /// Documents in the file.
        let found: Int
        var matched = 0
        var unmatched = 0
        var outgoing = 0
        /// Known from an earlier file.
        let duplicates: Int
        /// The same document again in one file, beyond its turnovers.
        let repeated: Int
        let vanished: Int
        let refused: [Refusal]
        /// The first ``documentsShown`` of the file; `/api/v1/bank-payments?statement=` lists all.
        var documents: [BankPayment] = []
    }
    static let documentsShown = 200
    /// Documents of one transaction: few, for it holds the orders that they may pay, and 1C's own news waits for those.
    private static let chunk = 20

    /// A document with what makes it itself.
    private struct Entry {
        let document: BankStatement.Document
        let organization: String?
        let digest: [UInt8]
    }

    /// - Throws: ``StatementRefusal`` when the file is no statement or is cut.
    func take(_ bytes: [UInt8], filename: String?, by caller: Caller, exchange: ID) async throws -> Report {
        let statement = try BankStatement(bytes, fallback: settings.company.currency)
        let (entries, repeated) = entries(of: statement)
        let id = ID.make()
        try await open(statement, id, filename, caller, exchange)
        // What is gone frees what it had paid before anything new is matched.
        let vanished = try await bus.transaction { try await retire(statement, entries, id, in: $0) }
        var duplicates = 0
        for part in entries.parts(of: Self.chunk) {
            duplicates += try await bus.transaction { try await keep(part, id, exchange, by: nil, in: $0) }
        }
        var report = Report(
            id: id, exchangeId: exchange, encoding: statement.encoding.rawValue,
            accounts: statement.accounts.map {
                .init(
                    account: $0.number, from: $0.from, to: $0.to, received: $0.received, spent: $0.spent,
                    agrees: statement.agrees($0.number))
            }, found: statement.documents.count, duplicates: duplicates, repeated: repeated, vanished: vanished,
            refused: statement.refused.map { .init(line: $0.line, reason: $0.reason) })
        let digests = Parameter.byteArrays(entries.map(\.digest))
        for row in try await bus.pool.query(
            "SELECT state, count(*) AS n FROM bank_payment WHERE digest = ANY($1) GROUP BY state", [digests])
        {
            let count = Int(try row.int("n"))
            switch try row.string("state") {
            case "matched": report.matched = count
            case "unmatched": report.unmatched = count
            default: report.outgoing += count
            }
        }
        report.documents = try await BankPayment.load(
            "digest = ANY($1) ORDER BY line LIMIT \(Self.documentsShown)", [digests], in: bus.pool)
        return report
    }

    private func open(
        _ statement: BankStatement, _ id: ID, _ filename: String?, _ caller: Caller, _ exchange: ID
    ) async throws {
        let days = statement.accounts.compactMap { account in
            account.from.flatMap { from in account.to.map { (account.number, from, $0) } }
        }
        _ = try await bus.pool.transaction { transaction in
            try await transaction.run([
                Statement(
                    """
                    INSERT INTO bank_statement (id, exchange_id, filename, by_whom, made_at)
                    VALUES ($1, $2, $3, $4, $5::timestamp)
                    """,
                    [
                        .id(id), .id(exchange), .text(filename?.withoutNUL), .text(caller.name),
                        .text(statement.madeAt),
                    ]),
                Statement(
                    """
                    INSERT INTO bank_statement_days (statement_id, account, first_day, last_day)
                    SELECT $1, a, f::date, max(t::date) FROM unnest($2::text[], $3::text[], $4::text[]) AS d (a, f, t)
                    GROUP BY a, f
                    """, [.id(id), .texts(days.map(\.0)), .texts(days.map(\.1)), .texts(days.map(\.2))]),
            ])
        }
    }

    /// Twins within a file are two payments when the account's turnovers need both, else one that is repeated.
    private func entries(of statement: BankStatement) -> (entries: [Entry], repeated: Int) {
        var seen: [String: Int] = [:]
        var entries: [Entry] = []
        var repeated = 0
        for document in statement.documents {
            let key = [
                document.account, document.direction.rawValue, document.date, document.number, document.amount.amount,
                document.other.account ?? "", document.other.inn ?? "",
            ].joined(separator: "|")
            let turn = seen[key, default: 0]
            seen[key] = turn + 1
            guard turn == 0 || statement.agrees(document.account) == true else {
                repeated += 1
                continue
            }
            entries.append(
                Entry(
                    document: document, organization: organization(document),
                    digest: sha256(Array("\(key)|\(turn)".utf8))))
        }
        return (entries, repeated)
    }

    private func organization(_ document: BankStatement.Document) -> String? {
        guard let inn = document.own.inn else { return nil }
        let fitting = settings.organizations.filter { $0.inn == inn }
        return fitting.count == 1 ? fitting[0].code : nil
    }

    /// Keeps documents and matches what is new, or has come back. The count of those known before.
    private func keep(
        _ entries: [Entry], _ statement: ID, _ exchange: ID, by: String?, in transaction: EventTransaction
    ) async throws -> Int {
        try await BankMatching.takeTurn(in: transaction)
        // What a later file has taken away an earlier one does not bring back.
        let known = try await transaction.query(
            """
            SELECT p.digest FROM bank_payment p JOIN bank_statement seen ON seen.id = p.statement_id
                JOIN bank_statement now ON now.id = $2
            WHERE p.digest = ANY($1) AND (p.state <> 'vanished' OR NOT coalesce(seen.made_at <= now.made_at, false))
            """, [.byteArrays(entries.map(\.digest)), .id(statement)])
        // Seen again: the newest file that tells of it answers for it.
        try await transaction.query(
            """
            UPDATE bank_payment p SET statement_id = $1 FROM bank_statement seen, bank_statement now
            WHERE p.digest = ANY($2) AND p.state <> 'vanished' AND seen.id = p.statement_id AND now.id = $1
                AND now.made_at IS NOT NULL AND (seen.made_at IS NULL OR seen.made_at <= now.made_at)
            """, [.id(statement), .byteArrays(entries.map(\.digest))])
        let knownDigests = Set(try known.map { try $0.bytes("digest") })
        let fresh = entries.filter { !knownDigests.contains($0.digest) }
        guard !fresh.isEmpty else { return known.count }
        try await transaction.run(fresh.map { Self.insert($0, statement, exchange) })
        let payments = try await BankPayment.load(
            "digest = ANY($1) AND direction = 'in' AND NOT left_to_person ORDER BY date, line",
            [.byteArrays(fresh.map(\.digest))],
            in: transaction)
        for payment in payments { try await matching.decide(payment, by: by, in: transaction) }
        return known.count
    }

    private static func insert(_ entry: Entry, _ statement: ID, _ exchange: ID) -> Statement {
        let document = entry.document
        let other = document.other
        return Statement(
            """
            INSERT INTO bank_payment (id, digest, statement_id, exchange_id, line, kind, number, date, direction, account,
                organization, amount_minor, currency, other_name, other_inn, other_kpp, other_account, other_bank, purpose,
                state)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8::date, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
            ON CONFLICT (digest) DO UPDATE SET statement_id = excluded.statement_id, exchange_id = excluded.exchange_id,
                line = excluded.line, state = excluded.state, reason = NULL, version = bank_payment.version + 1
            """,
            [
                .id(.make()), .bytes(entry.digest), .id(statement), .id(exchange), .int(document.line),
                .text(document.kind.withoutNUL), .text(document.number.withoutNUL), .text(document.date),
                .text(document.direction.rawValue), .text(document.account.withoutNUL), .text(entry.organization),
                .int(document.amount.minor), .text(document.amount.currency.code), .text(other.name?.withoutNUL),
                .text(other.inn?.withoutNUL), .text(other.kpp?.withoutNUL), .text(other.account?.withoutNUL),
                .text(other.bank?.withoutNUL), .text(document.purpose.withoutNUL),
                .text(document.direction == .income ? "unmatched" : "outgoing"),
            ])
    }

    /// Documents of the days that this file tells, and that it no longer holds (reference c.19). A file that does not say when it was made, or was
    /// made before the one that told of a document, takes nothing away: it may be the morning's, loaded after the evening's.
    private func retire(
        _ statement: BankStatement, _ entries: [Entry], _ id: ID, in transaction: EventTransaction
    ) async throws -> Int {
        guard let madeAt = statement.madeAt else { return 0 }
        try await BankMatching.takeTurn(in: transaction)
        var count = 0
        let digests = Parameter.byteArrays(entries.map(\.digest))
        for account in statement.accounts where statement.agrees(account.number) == true {
            guard let from = account.from, let to = account.to else { continue }
            let gone = try await BankPayment.load(
                """
                account = $1 AND date BETWEEN $2::date AND $3::date AND state <> 'vanished' AND NOT digest = ANY($4)
                    AND (cardinality($5::text[]) = 0 OR kind = ANY($5::text[]))
                    AND EXISTS (SELECT 1 FROM bank_statement s WHERE s.id = statement_id
                        AND coalesce(s.made_at, s.at AT TIME ZONE $7) <= $6::timestamp) FOR UPDATE
                """,
                [
                    .text(account.number), .text(from), .text(to), digests, .texts(statement.askedKinds), .text(madeAt),
                    .text(settings.company.timeZone),
                ],
                in: transaction)
            for payment in gone {
                try await BankMatching.take(back: payment, by: nil, in: transaction)
                try await transaction.query(
                    """
                    UPDATE bank_payment SET state = 'vanished', reason = $2, statement_id = $3, version = version + 1
                    WHERE id = $1
                    """,
                    [.id(payment.id), .text("в новой выписке за этот день документа больше нет"), .id(id)])
            }
            count += gone.count
        }
        return count
    }
}
