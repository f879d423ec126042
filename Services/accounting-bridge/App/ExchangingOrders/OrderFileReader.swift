import CommerceML
import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit
import Sodium
import XMLStream

/// Takes a file of orders coming back from 1C, in pieces of any size, and says what it tells of each order.
struct OrderFileReader: Sendable {
    let bus: EventBus
    let currency: Currency
    var files: ReceivedFiles { ReceivedFiles(pool: bus.pool) }
    let reports: OrderReports

    struct Outcome: Sendable {
        var understood: [String] = []
        var journeys: [ID] = []
        /// Numbers of the orders that it tells of.
        var orders: [String] = []
        var problem: String?
        /// The file is right so far and not at its end.
        var isGrowing = false
        /// It is stored, and could not be read just now; it will be, by itself (``readLeft()``).
        var isUnread = false
    }

    /// Characters of a number that are kept with an exchange.
    private static let numberLimit = 50

    /// Characters of a reason that are kept.
    private static let reasonLimit = 2000

    /// Bytes of one file at most.
    static let fileLimit = 64 * 1024 * 1024

    /// Keeps the piece, then tries whether the file is whole: nothing in the protocol says so.
    func take(_ size: Int, _ filename: String, session: ID, base: String, exchange: ID) async throws -> Outcome {
        do {
            try await files.add(size, filename, session: session, exchange: exchange, isOrders: true)
        } catch let refusal as XMLRefusal {
            try await park(.init(session: session, filename: filename), base, exchange, refusal.reason)
            return Outcome(problem: refusal.reason)
        }
        do {
            return try await read(
                .init(session: session, filename: filename), base: base, exchange: exchange, isLast: false)
        } catch let error as PostgresError where error.isTransient {
            // 1C must not hear `failure` for what is stored: УНФ may drop its changes for good then (reference 24).
            return Outcome(isUnread: true)
        }
    }

    /// Reads what has come of the file; `isLast` when 1C says there is no more.
    func read(_ place: ReceivedFiles.Place, base: String, exchange: ID, isLast: Bool) async throws -> Outcome {
        if let row = try await bus.pool.query(
            "SELECT state, reason FROM onec_file WHERE session = $1 AND filename = $2 AND state IN ('done', 'parked')",
            [.id(place.session), .text(place.filename)]
        ).first, isLast {
            return Outcome(problem: try row.optionalString("reason"))
        }
        let readers: [CommerceMLReader]
        do {
            readers = try await documents(of: place)
        } catch let refusal as XMLRefusal {
            if refusal.isIncomplete, !isLast {
                try await files.note(place, "growing")
                return Outcome(isGrowing: true)
            }
            let reason = refusal.isIncomplete ? "файл обрывается: \(refusal.reason)" : refusal.reason
            try await park(place, base, exchange, reason)
            return Outcome(problem: reason)
        }
        var outcome = Outcome()
        for reader in readers {
            let part = try await apply(reader, place, base, exchange)
            outcome.understood += part.understood
            outcome.journeys += part.journeys
            outcome.orders += part.orders
        }
        try await bus.pool.run([
            files.noting(place, "done", understood: outcome.understood),
            // Cut off, as it seemed, and whole after all.
            Statement(
                """
                UPDATE parked_document SET settled_at = now(), settled_by = 'файл пришёл до конца'
                WHERE session = $1 AND filename = $2 AND kind = 'file' AND settled_at IS NULL
                """, [.id(place.session), .text(place.filename)]),
        ])
        return outcome
    }

    /// The documents of a file, or of each XML file of an archive.
    private func documents(of place: ReceivedFiles.Place) async throws -> [CommerceMLReader] {
        let isArchive = try await files.find(place.filename, session: place.session)?.archive != nil
        guard try await files.startsAsArchive(place) || isArchive else {
            let reader = CommerceMLReader()
            let xml = XMLReader(reader)
            var total = 0
            try await files.read(place) { bytes in
                total += bytes.count
                try Self.check(total)
                try xml.feed(bytes)
            }
            try xml.finish()
            return [reader]
        }
        var readers: [CommerceMLReader] = []
        var total = 0
        try await files.entries(of: place) { name, next in
            guard name.lowercased().hasSuffix(".xml") else { return }
            let reader = CommerceMLReader()
            let xml = XMLReader(reader)
            while true {
                let bytes = try next()
                if bytes.isEmpty { break }
                total += bytes.count
                try Self.check(total)
                try xml.feed(bytes)
            }
            try xml.finish()
            readers.append(reader)
        }
        return readers
    }

    private static func check(_ total: Int) throws {
        guard total <= fileLimit else {
            throw XMLRefusal(reason: "файл больше \(fileLimit) байт", isIncomplete: false)
        }
    }

    /// Sets a whole file aside.
    func park(_ place: ReceivedFiles.Place, _ base: String, _ exchange: ID, _ reason: String) async throws {
        try await bus.transaction { transaction in
            transaction.write([files.noting(place, "parked", reason)])
            try await transaction.query(
                """
                INSERT INTO parked_document (id, base, exchange_id, reason, kind, session, filename)
                VALUES ($1, $2, $3, $4, 'file', $5, $6)
                """,
                [
                    .id(.make()), .text(base), .id(exchange), .text(reason), .id(place.session), .text(place.filename),
                ])
            // One that a person has chosen wrongly says nothing of the base.
            if try await !isCarried(place) {
                try await BaseHealth.failing(base, .answers, "файл от 1С не читается", in: transaction)
            }
        }
    }

    /// A person has brought the file.
    private func isCarried(_ place: ReceivedFiles.Place) async throws -> Bool {
        try await !bus.pool.query(
            "SELECT 1 AS one FROM onec_session WHERE id = $1 AND type = $2",
            [.id(place.session), .text(HandExchange.session)]
        ).isEmpty
    }

    /// Files whose session ended before they were whole: set aside, so that somebody sees them.
    func parkCut(before session: ID, type: String, base: String, exchange: ID) async throws {
        let rows = try await bus.pool.query(
            """
            SELECT f.session, f.filename FROM onec_file f JOIN onec_session s ON s.id = f.session
            WHERE s.base = $1 AND s.type = $3 AND f.session <> $2 AND f.state = 'growing'
            """, [.text(base), .id(session), .text(type)])
        for row in rows {
            try await park(
                .init(session: try row.id("session"), filename: try row.string("filename")), base, exchange,
                "файл «\(try row.string("filename"))» не был передан до конца")
        }
    }

    private func apply(
        _ reader: CommerceMLReader, _ place: ReceivedFiles.Place, _ base: String, _ exchange: ID
    ) async throws -> Outcome {
        var outcome = Outcome()
        for reason in reader.refused {
            try await bus.pool.run(parking(nil, place, base, exchange, reason))
            outcome.understood.append("отложено: \(reason)")
        }
        for document in reader.documents {
            let number = document.value("Номер")
            outcome.orders += number.map { [String($0.prefix(Self.numberLimit))] } ?? []
            do {
                let report = try OrderReportReader(document, schema: reader.schemaVersion, fallback: currency).report
                // What could not be read of it is set aside with what could, or not at all: the same file again is no news.
                let said = try await bus.transaction { transaction in
                    let said = try await reports.say(report, base, exchange, in: transaction)
                    if said.isNews {
                        for reason in report.refused {
                            transaction.write(parking(report.number, place, base, exchange, reason))
                        }
                    }
                    return said
                }
                outcome.understood.append(said.words)
                if said.number != number { outcome.orders.append(said.number) }
                outcome.understood += report.passedOver.map { "не учитывается: подчинённый документ «\($0)»" }
                outcome.understood += report.refused.map { "отложено: \($0)" }
                if let journey = said.journey { outcome.journeys.append(journey) }
            } catch let error where (error as? PostgresError)?.isTransient != true && !(error is CancellationError) {
                // One document must not stop those behind it, whatever is wrong with it.
                let reason =
                    switch error {
                    case let refusal as XMLRefusal: refusal.reason
                    case is EventTooLarge: "о заказе сказано больше, чем помещается в одно сообщение"
                    default: "ошибка на нашей стороне: \(error)"
                    }
                try await bus.pool.run(
                    parking(number.map { String($0.prefix(Self.numberLimit)) }, place, base, exchange, reason))
                outcome.understood.append("отложено: \(reason)")
            }
        }
        if try await !isCarried(place) {
            try await bus.transaction { try await BaseHealth.works(base, [.answers], in: $0) }
        }
        return outcome
    }

    /// Of one order the newest that was not understood waits, for it tells all that the older ones did.
    func parking(
        _ number: String?, _ place: ReceivedFiles.Place, _ base: String, _ exchange: ID, _ reason: String
    ) -> [Statement] {
        [
            Statement(
                """
                UPDATE parked_document SET settled_at = now(), settled_by = '1С прислала заново'
                WHERE base = $1 AND number = $2 AND kind = 'document' AND settled_at IS NULL AND exchange_id < $3
                """, [.text(base), .text(number), .id(exchange)]),
            Statement(
                """
                INSERT INTO parked_document (id, base, exchange_id, number, reason, session, filename)
                SELECT $1, $2, $3, $4, $5, $6, $7 WHERE NOT EXISTS (
                    SELECT 1 FROM parked_document WHERE base = $2 AND exchange_id = $3 AND number IS NOT DISTINCT FROM $4
                        AND reason = $5 AND settled_at IS NULL)
                """,
                [
                    .id(.make()), .text(base), .id(exchange), .text(number),
                    .text(String(reason.prefix(Self.reasonLimit))), .id(place.session), .text(place.filename),
                ]),
        ]
    }

    // MARK: again

    /// One document of a file, or why it cannot be understood.
    struct Document: Sendable {
        let number: String?
        let report: Result<OrderReport, XMLRefusal>
    }

    /// The documents of a file that is read again.
    ///
    /// - Throws: ``XMLRefusal`` when the file still cannot be read.
    func readAgain(_ place: ReceivedFiles.Place) async throws -> [Document] {
        try await documents(of: place).flatMap { reader in
            reader.refused.map {
                Document(number: nil, report: .failure(XMLRefusal(reason: $0, isIncomplete: false)))
            }
                + (try reader.documents.map { document in
                    let number = document.value("Номер").map { String($0.prefix(Self.numberLimit)) }
                    do {
                        let report = try OrderReportReader(document, schema: reader.schemaVersion, fallback: currency)
                            .report
                        return Document(number: number, report: .success(report))
                    } catch let refusal as XMLRefusal { return Document(number: number, report: .failure(refusal)) }
                })
        }
    }
}
