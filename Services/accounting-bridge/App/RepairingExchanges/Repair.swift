import Contracts
import Messaging
import Postgres
import Primitives
import XMLStream

/// Does again one thing that was set aside between the bridge and 1C. In 1C nothing is made twice: it finds an order by its number, and the same
/// content of a document changes nothing here.
struct Repair: Sendable {
    let bus: EventBus
    let files: OrderFileReader
    let reports: OrderReports
    let catalogs: CatalogDesk
    let systems: [SystemLine]
    /// Bases that come to us for their orders.
    let passive: Set<String>

    enum Kind: String, Sendable, CaseIterable {
        /// An order that was refused, offered to 1C again.
        case order
        /// A document of 1C's that was not understood, read again from the file it came in.
        case document
        /// A file that could not be read at all.
        case file
        /// A file of goods.
        case catalog
        /// What a system that we talk to told of an order.
        case report
        /// An order that waits for a base which does not work: what was wrong is mended, and it is tried at once.
        case base
        /// An order that its base had taken, and has lost since: it was restored from a backup, or the document was deleted.
        case sent
    }
    /// Why it still cannot be done.
    struct Refused: Error { let reason: String }

    /// A file that was read for a repair: the documents of one may be many repairs.
    struct ReadFile: Sendable {
        fileprivate let place: ReceivedFiles.Place
        fileprivate let documents: Result<[OrderFileReader.Document], XMLRefusal>
    }

    /// Reads what the repair needs, before anything is locked for it: a large file takes its time.
    ///
    /// - Parameter last: what was read for the repair before this one.
    func prepare(_ kind: Kind, _ ref: ID, after last: ReadFile?) async throws -> ReadFile? {
        guard kind == .document || kind == .file,
            let place = try await bus.pool.query(
                """
                SELECT p.session, p.filename, f.archive
                FROM parked_document p LEFT JOIN onec_file f ON f.session = p.session AND f.filename = p.filename
                WHERE p.id = $1 AND p.session IS NOT NULL AND p.filename IS NOT NULL
                """, [.id(ref)]
            ).first.map({
                ReceivedFiles.Place(
                    session: try $0.id("session"), filename: try $0.string("filename"),
                    archive: try $0.optionalString("archive"))
            })
        else { return last }
        if let last, last.place == place { return last }
        do { return ReadFile(place: place, documents: .success(try await files.readAgain(place))) } catch let refusal
            as XMLRefusal
        { return ReadFile(place: place, documents: .failure(refusal)) }
    }

    /// What was done, in words.
    ///
    /// - Parameter file: what ``prepare(_:_:after:)`` has read for it.
    /// - Throws: ``Refused``, or ``XMLRefusal``.
    func attempt(
        _ kind: Kind, _ ref: ID, _ file: ReadFile?, by: String, in transaction: EventTransaction
    ) async throws -> String {
        switch kind {
        case .order: return try await offer(ref, by: by, in: transaction)
        case .document, .file: return try await read(ref, file, by: by, in: transaction)
        case .catalog: return try await queue(ref, by: by, in: transaction)
        case .report: return try await report(ref, by: by, in: transaction)
        case .sent: return try await giveAgain(ref, in: transaction)
        case .base: return try await tryBase(of: ref, in: transaction)
        }
    }

    private struct Parked {
        let place: ReceivedFiles.Place
        let base: String
        let number: String?
        let exchange: ID
    }

    private func parked(_ id: ID, in transaction: EventTransaction) async throws -> Parked {
        // The base, its order, then what is parked of it: as `say` takes them.
        for (table, column) in [("base_state", "base"), ("order_out", "number")] {
            try await transaction.query(
                """
                SELECT 1 AS one FROM \(table) WHERE \(column) = (SELECT \(column) FROM parked_document WHERE id = $1)
                FOR UPDATE
                """, [.id(id)])
        }
        let rows = try await transaction.query(
            """
            SELECT p.base, p.number, p.session, p.filename, p.exchange_id, p.settled_by, f.archive
            FROM parked_document p LEFT JOIN onec_file f ON f.session = p.session AND f.filename = p.filename
            WHERE p.id = $1 FOR UPDATE OF p
            """, [.id(id)])
        guard let row = rows.first else { throw Refused(reason: "записи больше нет") }
        if let by = try row.optionalString("settled_by") { throw Refused(reason: "уже улажено: \(by)") }
        guard let session = try row.optionalID("session"), let filename = try row.optionalString("filename") else {
            throw Refused(reason: "файл этой записи не сохранился отдельно, попросите 1С прислать его заново")
        }
        return Parked(
            place: .init(session: session, filename: filename, archive: try row.optionalString("archive")),
            base: try row.string("base"), number: try row.optionalString("number"), exchange: try row.id("exchange_id"))
    }

    private func read(
        _ id: ID, _ file: ReadFile?, by: String, in transaction: EventTransaction
    ) async throws -> String {
        let parked = try await parked(id, in: transaction)
        guard let file, file.place == parked.place else {
            throw Refused(reason: "файл только что изменился, повторите")
        }
        let documents = try file.documents.get().filter { parked.number == nil || $0.number == parked.number }
        guard !documents.isEmpty else {
            throw Refused(reason: "в файле нет документа\(parked.number.map { " \($0)" } ?? "")")
        }
        // An older row of the same order says nothing new any more; neither does this one once it is read. Before what is set aside anew: it may be the same
        // again, and this row must not stand for it.
        try await settle(id, by: by, in: transaction)
        var words: [String] = []
        for document in documents {
            do {
                let report = try document.report.get()
                // One order is right as a whole or not at all; of a whole file each order stands by itself.
                if parked.number != nil, let refused = report.refused.first { throw Refused(reason: refused) }
                let said = try await reports.say(report, parked.base, parked.exchange, in: transaction)
                words.append(said.words)
                for reason in report.refused where said.isNews {
                    transaction.write(
                        files.parking(document.number, parked.place, parked.base, parked.exchange, reason))
                    words.append("отложено: \(reason)")
                }
            } catch let refusal as XMLRefusal where parked.number == nil {
                transaction.write(
                    files.parking(document.number, parked.place, parked.base, parked.exchange, refusal.reason))
                words.append("отложено: \(refusal.reason)")
            }
        }
        return words.joined(separator: "; ")
    }

    /// Read again from the journal, or asked for again where only the system can tell.
    private func report(_ id: ID, by: String, in transaction: EventTransaction) async throws -> String {
        let rows = try await transaction.query(
            """
            SELECT p.base, p.number, p.settled_by, p.exchange_id, e.request, e.target FROM parked_document p
            JOIN exchange e ON e.id = p.exchange_id WHERE p.id = $1
            """, [.id(id)])
        guard let row = rows.first else { throw Refused(reason: "записи больше нет") }
        if let by = try row.optionalString("settled_by") { throw Refused(reason: "уже улажено: \(by)") }
        let (base, number, exchange) = (
            try row.string("base"), try row.optionalString("number"), try row.id("exchange_id")
        )
        guard let line = systems.first(where: { $0.base.base == base }) else {
            throw Refused(reason: "базы \(base) больше нет в настройках")
        }
        var words: [String] = []
        do {
            if let told = try line.driver.understand(try row.bytes("request"), from: try row.string("target")) {
                for report in told where number == nil || report.number == number {
                    if let refused = report.refused.first { throw Refused(reason: refused) }
                    if let reason = report.rejection {
                        let isNews = try await ReportReader.reject(report, reason, base, in: transaction)
                        words.append("заказ \(report.number) не принят: \(reason)" + (isNews ? "" : ", без изменений"))
                        continue
                    }
                    words.append(
                        try await reports.say(report, base, exchange, in: transaction).words)
                }
                guard !words.isEmpty else { throw Refused(reason: "заказ всё ещё не читается") }
            } else if let number {
                try await OrderReports.ask(number, base, in: transaction)
                transaction.afterCommit { line.reading.poke() }
                words = ["состояние заказа \(number) будет запрошено заново"]
            } else {
                throw Refused(
                    reason: "повторять нечего: следующее сообщение 1С пришлёт сама; разобравшись, закройте запись")
            }
        } catch let failure as DriverFailure { throw Refused(reason: failure.words) }
        try await settle(id, by: by, in: transaction)
        return words.joined(separator: "; ")
    }

    private func queue(_ id: ID, by: String, in transaction: EventTransaction) async throws -> String {
        let parked = try await parked(id, in: transaction)
        try await transaction.query(
            """
            UPDATE onec_file SET state = 'queued', begun = 0, reason = NULL, queued_at = clock_timestamp()
            WHERE session = $1 AND filename = $2
            """, [.id(parked.place.session), .text(parked.place.filename)])
        try await settle(id, by: by, in: transaction)
        transaction.afterCommit { catalogs.wake() }
        return "файл «\(parked.place.filename)» будет прочитан заново"
    }

    private func settle(_ id: ID, by: String, in transaction: EventTransaction) async throws {
        try await transaction.query(
            "UPDATE parked_document SET settled_at = now(), settled_by = $2 WHERE id = $1 AND settled_at IS NULL",
            [.id(id), .text(by)])
    }
}
