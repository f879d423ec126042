import Contracts
import HTTPTypes
import Hummingbird
import Logging
import Messaging
import NIOCore
import Postgres
import Primitives
import ServiceKit
import Sodium
import Synchronization

/// `GET/POST /1c/exchange`: the site side of CommerceML «обмен с сайтом», as УТ 11 and УНФ speak it. Answers are
/// always a text whose first line is the word that 1C compares; there is no closing line break, for УТ counts
/// the lines (reference 13–20).
struct ExchangeRoute: Sendable {
    let settings: SuiteSettings
    let bus: EventBus
    let journal: ExchangeJournal
    let queue: OrderQueue
    let files: OrderFileReader
    let catalog: CatalogExchange
    let log: Logger
    private let strangers = Strangers()

    /// Shared by the requests of this process.
    private final class Strangers: Sendable { let kept = Mutex(StrangersKept()) }

    static let cookie = "throughline_1c"
    /// Bytes of one POST at most: larger than the piece size we ask for, since not everyone keeps to it.
    static let bodyLimit = 32 * 1024 * 1024
    /// Bytes that are kept of what somebody sends without a password; of more nothing is.
    private static let strangersLimit = 16 * 1024
    static let fileLimitAsked = 10 * 1024 * 1024

    func add(to router: Router<ServiceRequestContext>) {
        for path in ["/1c/exchange", "/1c/:base/exchange"] as [RouterPath] {
            router.get(path) { request, context in try await answer(request, context) }
            router.post(path) { request, context in try await answer(request, context) }
        }
    }

    private func answer(_ request: Request, _ context: ServiceRequestContext) async throws -> Response {
        let type = request.query("type") ?? ""
        let mode = request.query("mode") ?? ""
        let wanted = context.parameters.get("base") == nil ? nil : try context.text("base")
        let base = findBase(request, wanted)
        // Of a stranger it is only kept that he came.
        guard let base else {
            return try await refuse(request, "\(type).\(mode)", wanted, from: context.clientAddress(request))
        }
        let body: [UInt8]
        do { body = try await request.bytes(limit: Self.bodyLimit) } catch let problem as Problem {
            let id = try await journal.open(
                base: base.base, session: nil, kind: "\(type).\(mode)",
                method: request.method.rawValue, target: request.uri.description, body: [])
            let answer = ExchangeJournal.Answer(
                status: 413, body: "failure\nФайл больше \(Self.bodyLimit) байт",
                result: "refused", reason: problem.detail)
            try await journal.close(id, answer)
            return response(answer)
        }
        let session = try await session(request, base.base)
        let id = try await journal.open(
            base: base.base, session: session, kind: "\(type).\(mode)",
            method: request.method.rawValue, target: request.uri.description, body: body)
        var answer: ExchangeJournal.Answer
        do {
            answer = try await work(type, mode, base, session, request, body, exchange: id)
        } catch let error as PostgresError where error.isTransient {
            throw error
        } catch {
            log.error("an exchange failed", metadata: ["exchange": "\(id)", "reason": "\(error)"])
            answer = .init(
                body: "failure\nОшибка на нашей стороне, запрос сохранён: \(id)", result: "failed",
                reason: "\(error)")
        }
        try await journal.close(id, answer)
        return response(answer)
    }

    private func refuse(_ request: Request, _ kind: String, _ wanted: String?, from address: String) async throws
        -> Response
    {
        let word = strangers.kept.withLock { $0.knocked(address, .now()) }
        let body = (try? await request.bytes(limit: Self.strangersLimit)) ?? []
        let words = "неверный логин или пароль"
        let answer = ExchangeJournal.Answer(
            status: 401, body: "failure\nНеверный логин или пароль", result: "refused",
            reason: word == .lastKept
                ? "\(words); дальнейшие попытки (последняя — с адреса \(address)) 15 минут не записываются" : words)
        guard word != .notKept else { return response(answer) }
        let id = try await journal.open(
            base: wanted, session: nil, kind: kind, method: request.method.rawValue,
            target: request.uri.description, body: body)
        try await journal.close(id, answer)
        return response(answer)
    }

    private func response(_ answer: ExchangeJournal.Answer) -> Response {
        var response = Response.text(answer.body, type: answer.contentType, .init(code: answer.status))
        if answer.status == 401 { response.headers[.wwwAuthenticate] = "Basic realm=\"1C\", charset=\"UTF-8\"" }
        if let cookie = answer.cookie { response.headers[.setCookie] = "\(Self.cookie)=\(cookie); Path=/; HttpOnly" }
        return response
    }

    /// The base whose credentials come with the request: they come with every one (reference 9).
    private func findBase(_ request: Request, _ wanted: String?) -> SuiteSettings.Base? {
        guard let header = request.headers[.authorization], header.lowercased().hasPrefix("basic "),
            let bytes = fromBase64(String(header.dropFirst(6).filter { !$0.isWhitespace }))
        else { return nil }
        return settings.bases.first { base in
            // Others have no credentials that anybody could come with.
            base.driver == .commerceml && (wanted == nil || wanted == base.base)
                && isEqualInConstantTime(bytes, Array("\(base.login):\(base.password)".utf8))
        }
    }

    /// The session of the cookie; a client that lost it goes on in its base's latest.
    private func session(_ request: Request, _ base: String) async throws -> ID? {
        let given =
            request.cookies[Self.cookie].flatMap { ID($0.value) }
            ?? request.query("sessid").flatMap { ID($0) }
        return try await bus.pool.query(
            """
            (SELECT id, 1 AS place FROM onec_session WHERE id = $2 AND base = $1)
            UNION ALL (SELECT id, 2 FROM onec_session WHERE base = $1 AND type <> $3 ORDER BY started_at DESC LIMIT 1)
            ORDER BY place LIMIT 1
            """, [.text(base), .id(given), .text(HandExchange.session)]
        ).first?.id("id")
    }

    private func work(
        _ type: String, _ mode: String, _ base: SuiteSettings.Base, _ session: ID?, _ request: Request,
        _ body: [UInt8], exchange: ID
    ) async throws -> ExchangeJournal.Answer {
        let isCatalog = type == "catalog"
        switch mode {
        case "checkauth": return try await checkauth(type, base.base, exchange)
        case "init" where isCatalog: return try await catalog.opened(try known(session))
        case "file" where isCatalog:
            return try await catalog.file(
                body.count, try FileName.clean(request.query("filename")), try known(session), exchange: exchange)
        case "import" where isCatalog:
            return try await catalog.importing(
                try FileName.clean(request.query("filename")), try known(session), exchange: exchange)
        case "init": return .init(body: "zip=no\nfile_limit=\(Self.fileLimitAsked)")
        case "query": return try await query(try known(session), base)
        case "success": return try await success(try known(session), base.base, exchange)
        case "file": return try await file(try known(session), base.base, request, body, exchange)
        case "import": return try await importing(try known(session), base.base, request, exchange)
        default:
            // Unknown modes are answered `success`, never 404 (reference 8).
            return .init(body: "success", understood: ["режим «\(mode)» не используется"])
        }
    }

    private func known(_ session: ID?) throws -> ID {
        guard let session else {
            throw Problem.badRequest("сеанс не начат: сначала mode=checkauth")
        }
        return session
    }

    private func checkauth(_ type: String, _ base: String, _ exchange: ID) async throws -> ExchangeJournal.Answer {
        if type == "catalog" { try await catalog.watchEmpty(base) }
        let session = ID.make()
        try await bus.pool.run([
            Statement(
                "INSERT INTO onec_session (id, base, type) VALUES ($1, $2, $3)",
                [.id(session), .text(base), .text(type)]),
            Statement(
                """
                INSERT INTO base_state (base, last_contact) VALUES ($1, now())
                ON CONFLICT (base) DO UPDATE SET last_contact = now()
                """, [.text(base)]),
        ])
        try await files.parkCut(before: session, type: type, base: base, exchange: exchange)
        return .init(
            body: "success\n\(Self.cookie)\n\(session)", understood: ["сеанс начат"],
            cookie: session.description)
    }

    private func query(_ session: ID, _ base: SuiteSettings.Base) async throws -> ExchangeJournal.Answer {
        let orders = try await queue.batch(session, base.base, timeZone: base.timeZone)
        let xml = CommerceMLWriter.orders(orders, at: .now())
        return .init(
            body: xml, contentType: "application/xml; charset=utf-8",
            understood: orders.isEmpty
                ? ["заказов нет"] : ["отданы заказы: " + orders.map(\.order.number).joined(separator: ", ")],
            orders: orders.map(\.order.number))
    }

    private func success(_ session: ID, _ base: String, _ exchange: ID) async throws -> ExchangeJournal.Answer {
        let taken = try await queue.acknowledge(session, base, exchange: exchange)
        return .init(
            body: "success",
            understood: taken.isEmpty
                ? ["подтверждать нечего"]
                : ["1С забрала заказы: " + taken.map(\.number).joined(separator: ", ")],
            journeys: taken.compactMap(\.journey), orders: taken.map(\.number))
    }

    private func file(
        _ session: ID, _ base: String, _ request: Request, _ body: [UInt8], _ exchange: ID
    ) async throws -> ExchangeJournal.Answer {
        let name = try FileName.clean(request.query("filename"))
        let outcome = try await files.take(body.count, name, session: session, base: base, exchange: exchange)
        if outcome.isGrowing {
            return .init(body: "success", understood: ["часть файла «\(name)» принята, ждём продолжения"])
        }
        if outcome.isUnread {
            return .init(body: "success", understood: ["файл «\(name)» сохранён и будет прочитан позже"])
        }
        // What is stored safely is answered `success`: after `failure` УНФ may drop its changes for good
        // (reference 24). What is wrong with it is ours to show.
        return .init(
            body: "success", result: outcome.problem == nil ? "ok" : "parked", reason: outcome.problem,
            understood: outcome.understood, journeys: outcome.journeys, orders: outcome.orders)
    }

    private func importing(
        _ session: ID, _ base: String, _ request: Request, _ exchange: ID
    ) async throws -> ExchangeJournal.Answer {
        let name = try FileName.clean(request.query("filename"))
        let found = try await ReceivedFiles(pool: bus.pool).find(name, session: session)
        let place = ReceivedFiles.Place(session: session, filename: found?.sent ?? name)
        let outcome = try await files.read(place, base: base, exchange: exchange, isLast: true)
        // Stored safely, as in ``file(_:_:_:_:_:)``.
        return .init(
            body: "success", result: outcome.problem == nil ? "ok" : "parked", reason: outcome.problem,
            understood: outcome.understood, journeys: outcome.journeys, orders: outcome.orders)
    }
}

/// The name of a file as 1C gives it: a relative path (`import_files/ab/…`, `goods/1/import.xml`), or a whole path of its own
/// machine, of which only the name matters (reference 27, 28).
enum FileName {
    static func clean(_ given: String?) throws -> String {
        let path = (given ?? "").replacing("\\", with: "/")
        var parts = path.split(separator: "/").map(String.init)
        if path.hasPrefix("/") || parts.first?.hasSuffix(":") == true { parts = parts.suffix(1) }
        let name = parts.filter { $0 != "." }.joined(separator: "/")
        guard !name.isEmpty, !parts.contains(".."), name.utf8.count <= 255, !name.contains("\0") else {
            throw Problem.badRequest("параметр filename: имени файла нет, или оно ведёт за пределы папки обмена")
        }
        return name
    }
}
