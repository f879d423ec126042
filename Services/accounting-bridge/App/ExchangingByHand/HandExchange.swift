import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit
import XMLStream

/// Files that a person carries between a base and us (ONEC-12): for a base that cannot reach us yet, or not today. They go the way of all others: what is
/// taken is journalled first, and what cannot be understood is set aside.
struct HandExchange: Sendable {
    let bus: EventBus
    let settings: SuiteSettings
    let journal: ExchangeJournal
    let queue: OrderQueue
    let orders: OrderFileReader
    let catalogs: CatalogDesk
    let systems: [SystemLine]

    /// Bytes of a file that a person hands over at most.
    static let fileLimit = 16 * 1024 * 1024
    /// Orders of one file at most.
    static let orderLimit: Int64 = 500
    /// How sessions of this kind are called, apart from those that 1C opens itself.
    static let session = "hand"
    /// Seconds that a person waits for a file of goods; it is read on without him.
    private static let patience = 10.0

    /// A file of orders for a base.
    struct OrderFile: AnswerShape {
        let id: ID
        let base: String
        let orders: [String]
        /// Somebody has said that 1C has taken it.
        let isTaken: Bool
        let at: Timestamp
    }
    /// What came of a file from a base.
    struct Taken: AnswerShape {
        let exchangeId: ID?
        let understood: [String]
        /// Why it, or some of it, was set aside.
        let reason: String?
    }

    private func base(_ name: String) throws -> SuiteSettings.Base {
        guard let base = settings.bases.first(where: { $0.base == name }) else { throw Problem.notFound("base") }
        return base
    }

    // MARK: to 1C

    /// Puts the orders that wait for a base of «обмен с сайтом» into a file. They wait on: until somebody says that it was taken, or the base has fetched
    /// them itself.
    func prepare(_ name: String, by caller: Caller) async throws -> OrderFile {
        let base = try base(name)
        guard base.driver == .commerceml else {
            throw Problem.conflict("базе \(name) заказы передаются по-другому: драйвер \(base.driver.rawValue)")
        }
        let session = ID.make()
        let ids = try await bus.transaction { transaction in
            let ids = try await transaction.query(
                """
                SELECT id FROM order_out WHERE base = $1 AND state = 'ready' ORDER BY requested_at, number
                LIMIT \(Self.orderLimit) FOR UPDATE
                """, [.text(name)]
            ).map { try $0.id("id") }
            guard !ids.isEmpty else { throw Problem.conflict("для базы \(name) нет заказов, которые ждут передачи") }
            transaction.write(
                "INSERT INTO onec_session (id, base, type, batch) VALUES ($1, $2, $3, $4::uuid[])",
                [.id(session), .text(name), .text(Self.session), .ids(ids)])
            return ids
        }
        let file = try await file(session)
        let entry = try await journal.open(
            base: name, session: session, kind: "hand.orders", method: "FILE", target: Self.fileName(file), body: [],
            direction: "out")
        try await journal.close(
            entry,
            .init(
                body: try await content(of: session), contentType: "application/xml",
                understood: [
                    "\(caller.name) подготовил файл: заказов \(ids.count)",
                    "заказы " + file.orders.joined(separator: ", "),
                ], orders: file.orders))
        return file
    }

    static func fileName(_ file: OrderFile) -> String { "orders-\(file.base)-\(file.id).xml" }

    func file(_ session: ID) async throws -> OrderFile {
        guard
            let row = try await bus.pool.query(
                """
                SELECT s.base, s.acknowledged, s.started_at, ARRAY(SELECT number FROM order_out o WHERE o.id = ANY(s.batch)
                    ORDER BY requested_at, number)::text AS orders
                FROM onec_session s WHERE s.id = $1 AND s.type = $2
                """, [.id(session), .text(Self.session)]
            ).first
        else { throw Problem.notFound("file") }
        return OrderFile(
            id: session, base: try row.string("base"), orders: try row.list("orders"),
            isTaken: try row.bool("acknowledged"), at: try row.time("started_at"))
    }

    /// The file itself; the same one each time, as far as its orders have not changed.
    func content(of session: ID) async throws -> String {
        let base = try base(try await file(session).base)
        return CommerceMLWriter.orders(
            try await queue.batch(session, base.base, timeZone: base.timeZone), at: .now())
    }

    /// Somebody has loaded the file into 1C.
    ///
    /// - Returns: the orders that were still waiting for it.
    func confirm(_ session: ID, by caller: Caller) async throws -> [String] {
        let file = try await file(session)
        let entry = try await journal.open(
            base: file.base, session: session, kind: "hand.taken", method: "FILE", target: Self.fileName(file),
            body: [],
            direction: "out")
        let taken = try await queue.acknowledge(session, file.base, exchange: entry)
        let numbers = taken.map(\.number)
        try await journal.close(
            entry,
            .init(
                body: "",
                understood: [
                    "\(caller.name): файл загружен в 1С",
                    numbers.isEmpty ? "подтверждать нечего" : "переданы заказы " + numbers.joined(separator: ", "),
                ], journeys: taken.compactMap(\.journey), orders: numbers))
        return numbers
    }

    /// The file was made in vain: nobody will load it.
    func discard(_ session: ID, by caller: Caller) async throws {
        let file = try await file(session)
        let gone = try await bus.pool.query(
            "UPDATE onec_session SET batch = '{}' WHERE id = $1 AND NOT acknowledged", [.id(session)]
        ).affected
        guard gone == 1 else { throw Problem.conflict("файл уже загружен в 1С") }
        let entry = try await journal.open(
            base: file.base, session: session, kind: "hand.discarded", method: "FILE", target: Self.fileName(file),
            body: [], direction: "out")
        try await journal.close(
            entry, .init(body: "", understood: ["\(caller.name): файл не понадобился"], orders: file.orders))
    }

    // MARK: from 1C

    /// Takes a file that somebody has saved in a base: orders or goods of CommerceML, also zipped, or what lies in the exchange folder otherwise.
    func take(_ name: String, _ file: Form.File, by caller: Caller) async throws -> Taken {
        let base = try base(name)
        guard file.bytes.count <= Self.fileLimit else {
            throw Problem.tooLarge(limit: Self.fileLimit)
        }
        guard !file.bytes.isEmpty else { throw Problem.invalid("файл пуст") }
        if base.driver != .commerceml { return try await put(file, for: base, by: caller) }
        let filename = try FileName.clean(file.name.flatMap { $0.isEmpty ? nil : $0 } ?? "file.xml")
        let place = ReceivedFiles.Place(session: .make(), filename: filename)
        let entry = try await journal.open(
            base: name, session: place.session, kind: "hand.file", method: "FILE", target: filename, body: file.bytes)
        try await bus.pool.query(
            "INSERT INTO onec_session (id, base, type) VALUES ($1, $2, $3)",
            [.id(place.session), .text(name), .text(Self.session)])
        let outcome = try await read(place, file.bytes.count, base: name, exchange: entry)
        try await journal.close(
            entry,
            .init(
                body: "", result: outcome.problem == nil ? "ok" : "parked", reason: outcome.problem,
                understood: ["передал файлом: \(caller.name)"] + outcome.understood, journeys: outcome.journeys,
                orders: outcome.orders))
        return Taken(exchangeId: entry, understood: outcome.understood, reason: outcome.problem)
    }

    private func read(
        _ place: ReceivedFiles.Place, _ size: Int, base: String, exchange: ID
    ) async throws -> OrderFileReader.Outcome {
        do {
            try await ReceivedFiles(pool: bus.pool).add(
                size, place.filename, session: place.session, exchange: exchange, isOrders: true)
        } catch let refusal as XMLRefusal {
            try await orders.park(place, base, exchange, refusal.reason)
            return .init(problem: refusal.reason)
        }
        return try await readStored(place, base: base, exchange: exchange)
    }

    /// Reads a file that is stored: at once, or by itself when that was cut off.
    func readStored(
        _ place: ReceivedFiles.Place, base: String, exchange: ID
    ) async throws -> OrderFileReader.Outcome {
        let files = ReceivedFiles(pool: bus.pool)
        do {
            let parts = try await HandFile(files).parts(of: place)
            var outcome = OrderFileReader.Outcome()
            let deadline = ContinuousClock.now + .seconds(Self.patience)
            for part in parts where part.holds == .goods {
                let left = max(0.1, ContinuousClock.now.duration(to: deadline).seconds)
                let state = try await catalogs.importing(part.place, exchange: exchange, seconds: left)
                // It is being read: nobody else begins it.
                try await files.touch(place)
                outcome.understood.append(
                    "файл «\(part.place.filename)»" + (state.isOver ? "" : " ещё читается: записей \(state.read)"))
                outcome.understood += state.understood
                if state.state == "parked" { outcome.problem = state.reason }
            }
            // Last: with its orders the file is done with.
            if parts.contains(where: { $0.holds == .orders }) {
                let read = try await orders.read(place, base: base, exchange: exchange, isLast: true)
                outcome.understood += read.understood
                (outcome.journeys, outcome.orders) = (read.journeys, read.orders)
                outcome.problem = read.problem ?? outcome.problem
                if outcome.understood.isEmpty, outcome.problem == nil {
                    outcome.understood = ["документов в файле нет"]
                }
            } else if parts.contains(where: { $0.place != place }) {
                try await files.note(place, "done")
            }
            guard outcome.understood.isEmpty, outcome.problem == nil else { return outcome }
            throw XMLRefusal(
                reason: "в файле нет ни заказов, ни товаров CommerceML: это другой файл", isIncomplete: false)
        } catch let refusal as XMLRefusal {
            try await orders.park(place, base, exchange, refusal.reason)
            return .init(problem: refusal.reason)
        }
    }

    /// Puts it where the base itself would have put it: it is read from there in the next round.
    private func put(_ file: Form.File, for base: SuiteSettings.Base, by caller: Caller) async throws -> Taken {
        guard let line = systems.first(where: { $0.base.base == base.base }),
            let driver = line.driver as? any ExchangesFiles
        else {
            throw Problem.conflict("с базой \(base.base) файлами не обмениваются: драйвер \(base.driver.rawValue)")
        }
        do {
            let name = try await driver.put(file.bytes, named: file.name)
            line.reading.poke()
            return Taken(
                exchangeId: nil, understood: ["файл положен в папку обмена как «\(name)» и будет прочитан"], reason: nil
            )
        } catch let failure as DriverFailure { throw Problem.conflict(failure.words) }
    }
}
