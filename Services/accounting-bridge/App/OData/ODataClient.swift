import Contracts
import Curl
import Primitives
import Sodium

/// Speaks a base's standard OData interface (v3, JSON): one request at a time in one session, for each session takes a licence (reference b.20),
/// and tells a refusal by the business from an outage, and an outage from doubt.
actor ODataClient {
    private let root: String
    private let authorization: String
    private let http = HTTPClient(bodyLimit: answerLimit)
    private let sessions: SessionKeeper
    private var cookie: String?
    private var isCookieLoaded = false
    /// Failures in a row, and how many of them a session survives.
    private var failures = 0
    private static let sessionPatience = 5
    /// Whether the base compares keys (`gt`), as its query language does; it is believed until it turns out otherwise.
    private var comparesKeys = true
    private var isBusy = false
    private var queue: [CheckedContinuation<Void, Never>] = []

    /// Bytes of one answer at most.
    static let answerLimit = 32 * 1024 * 1024
    private let timeout: Double

    /// - Parameter timeout: seconds that an answer may take.
    init(url: String, login: String, password: String, timeout: Double, sessions: SessionKeeper) {
        root = "\(url)/odata/standard.odata/"
        self.timeout = timeout
        self.sessions = sessions
        authorization = "Basic \(base64(Array("\(login):\(password)".utf8)))"
    }

    struct Answer: Sendable {
        let json: RawJSON
        let exchange: ID
    }

    /// Rows of a set; as many pages as there are.
    func rows(
        _ kind: String, _ entity: String, filter: String, orderBy: String = keyField, select: [String],
        wire: ExchangeWire
    ) async throws -> (rows: [RawJSON], exchange: ID?) {
        var (rows, place): ([RawJSON], ODataPlace) = ([], .start)
        while true {
            let page = try await self.page(
                kind, entity, filter: filter, orderBy: orderBy, from: place, select: select, wire: wire)
            rows += page.rows
            guard let next = page.next else { return (rows, page.exchange) }
            guard rows.count < Self.rowLimit else {
                throw DriverFailure.refused("\(entity): больше \(Self.rowLimit) записей по одному запросу")
            }
            place = next
        }
    }

    /// One page of a set. Entities go by their keys; a base that does not compare them is asked by places instead.
    func page(
        _ kind: String, _ entity: String, filter: String? = nil, orderBy: String = keyField, from place: ODataPlace,
        select: [String], wire: ExchangeWire
    ) async throws -> ODataPage {
        var (from, refusal): (ODataPlace, DriverFailure?) = (place, nil)
        if case .after(let key, let count) = place {
            do {
                let page = try await ask(kind, entity, filter, orderBy, from, select, wire)
                // A base that passes over the comparison gives the same page again and again.
                if !page.rows.contains(where: { $0[Self.keyField]?.stringValue == key }) { return page }
            } catch let failure as DriverFailure {
                guard case .refused = failure else { throw failure }
                refusal = failure
            }
            from = .skipping(count)
        }
        let page = try await ask(kind, entity, filter, orderBy, from, select, wire)
        // It was the comparison, and nothing else that is wrong with the question.
        if refusal != nil || from != place { comparesKeys = false }
        guard !comparesKeys, page.next != nil else { return page }
        return ODataPage(rows: page.rows, exchange: page.exchange, next: .skipping(from.count + page.rows.count))
    }

    private func ask(
        _ kind: String, _ entity: String, _ filter: String?, _ orderBy: String, _ place: ODataPlace, _ select: [String],
        _ wire: ExchangeWire
    ) async throws -> ODataPage {
        var (filters, skip) = ([filter].compactMap { $0 }, "")
        switch place {
        case .after(let key, _):
            // Each by itself may be a row of alternatives.
            filters = filters.map { "(\($0))" } + ["\(Self.keyField) gt guid'\(key)'"]
        case .skipping(let count): skip = "&$skip=\(count)"
        }
        var query = "$format=json&allowedOnly=true&$orderby=\(Self.encoded(orderBy))&$top=\(Self.pageSize)\(skip)"
        query += "&$select=" + Self.encoded(select.joined(separator: ","))
        if !filters.isEmpty { query += "&$filter=" + Self.encoded(filters.joined(separator: " and ")) }
        let answer: Answer
        do { answer = try await ask(kind, "GET", "\(Self.encoded(entity))?\(query)", nil, wire) } catch is NoSuchEntity
        { throw DriverFailure.refused("1С не находит того, о чём её спросили: \(entity)") }
        guard case .array(let rows)? = answer.json["value"] else {
            throw DriverFailure.away("в ответе на запрос \(entity) нет списка value")
        }
        let count = place.count + rows.count
        let last = orderBy == Self.keyField ? rows.last?[Self.keyField]?.stringValue.flatMap { ID($0) } : nil
        let next = last.map { ODataPlace.after(key: $0.description, count: count) } ?? .skipping(count)
        return ODataPage(rows: rows, exchange: answer.exchange, next: rows.count < Self.pageSize ? nil : next)
    }

    static let keyField = "Ref_Key"
    static let pageSize = 500
    static let rowLimit = 20_000

    /// One entity by its key; nil when there is none.
    func one(_ kind: String, _ entity: String, _ key: String, select: [String], wire: ExchangeWire) async throws
        -> RawJSON?
    {
        let query = "?$format=json&$select=" + Self.encoded(select.joined(separator: ","))
        do {
            return try await ask(kind, "GET", "\(Self.encoded(entity))(guid'\(key)')\(query)", nil, wire).json
        } catch is NoSuchEntity { return nil }
    }

    /// Makes an entity.
    ///
    /// - Throws: ``EntityExists`` when its key is taken.
    func create(_ kind: String, _ entity: String, _ fields: RawJSON, wire: ExchangeWire) async throws -> RawJSON {
        do {
            return try await ask(
                kind, "POST", Self.encoded(entity) + "?$format=json", Array(try JSON.encode(fields)), wire
            ).json
        } catch is NoSuchEntity { throw DriverFailure.refused("1С не находит того, на что ссылается \(entity)") }
    }

    func post(_ kind: String, _ entity: String, _ key: String, wire: ExchangeWire) async throws {
        do {
            _ = try await ask(
                kind, "POST", "\(Self.encoded(entity))(guid'\(key)')/Post?PostingModeOperational=false&$format=json",
                [], wire)
        } catch is EntityExists { throw DriverFailure.refused("1С не проводит документ: такой уже есть") }
    }

    /// What an exchange plan has registered for its node and the node has not confirmed (reference b.19).
    func changes(
        _ node: String, message: Int64, wire: ExchangeWire
    ) async throws -> (json: RawJSON, exchange: ID) {
        let path = "SelectChanges?DataExchangePoint=\(point(node))&MessageNo=\(message)&$format=json"
        do {
            let answer = try await ask("odata.changes", "POST", path, [], wire)
            return (answer.json, answer.exchange)
        } catch is NoSuchEntity {
            throw DriverFailure.refused("узла \(node) в базе нет")
        }
    }

    /// All of it up to this message is known here: the base may forget it.
    func confirmChanges(_ node: String, message: Int64, wire: ExchangeWire) async throws {
        let path = "NotifyChangesReceived?DataExchangePoint=\(point(node))&MessageNo=\(message)&$format=json"
        do { _ = try await ask("odata.received", "POST", path, [], wire) } catch is NoSuchEntity {
            throw DriverFailure.refused("узла \(node) в базе нет")
        }
    }

    /// The quotes within are not doubled: that is how it is asked in practice.
    private func point(_ node: String) -> String { Self.encoded("'\(root)\(node)'") }

    struct NoSuchEntity: Error {}
    struct EntityExists: Error {}

    /// The base's description of itself, streamed: only the wanted kinds are kept.
    func metadata(_ wanted: Set<String>, for what: String, wire: ExchangeWire) async throws -> ODataMetadata {
        try await enter()
        defer { leave() }
        try await takeUpSession()
        let exchange = try await wire.open("odata.metadata", "GET", root + "$metadata", [], direction: "out")
        let sink = MetadataSink(wanted)
        do {
            try await http.stream(
                request("GET", "$metadata", nil, timeout: 300), onHead: { sink.head($0) }, onBytes: { sink.feed($0) })
            let (metadata, size) = try sink.finish()
            if let response = sink.response { try await keepSession(response) }
            try await wire.close(
                exchange, status: 200, [],
                .ok([
                    "\(what); описание базы: \(size) байт, нужных объектов \(metadata.fields.count) из \(wanted.count)"
                ]))
            return metadata
        } catch let error {
            let failure = sink.failure ?? .away("описание базы ($metadata) не получено: \(error)")
            // It may be the session that ails: nothing else asks before this has worked.
            if cookie != nil {
                cookie = nil
                try await sessions.save(nil)
            }
            try await wire.close(exchange, status: nil, [], .failed(failure.words))
            throw failure
        }
    }

    // MARK: one at a time

    private func enter() async throws {
        if isBusy { await withCheckedContinuation { queue.append($0) } }
        isBusy = true
    }

    private func leave() {
        isBusy = false
        if !queue.isEmpty {
            // It is the next one's turn before anybody new comes in.
            isBusy = true
            queue.removeFirst().resume()
        }
    }

    private func request(_ method: String, _ path: String, _ body: [UInt8]?, timeout: Double) -> HTTPClient.Request {
        var headers = [
            ("Authorization", authorization), ("Accept", "application/json"), ("Content-Type", "application/json"),
        ]
        // A session is kept, or each call would take a licence of its own (reference b.20).
        headers.append(cookie.map { ("Cookie", $0) } ?? ("IBSession", "start"))
        return HTTPClient.Request(method, root + path, headers: headers, body: body, timeoutSeconds: timeout)
    }

    private func ask(
        _ kind: String, _ method: String, _ path: String, _ body: [UInt8]?, _ wire: ExchangeWire
    ) async throws -> Answer {
        try await enter()
        defer { leave() }
        let isWrite = method != "GET"
        try await takeUpSession()
        do {
            let (response, exchange) = try await wire.call(
                kind, request(method, path, body, timeout: timeout), http
            ) { response in
                try ((ODataAnswer(response, isWrite: isWrite).judged, response), understood: [])
            }
            let (verdict, whole) = response
            try await keepSession(whole)
            failures = 0
            switch verdict {
            case .data(let json): return Answer(json: json, exchange: exchange)
            case .noSuchEntity: throw NoSuchEntity()
            case .exists: throw EntityExists()
            }
        } catch let failure as DriverFailure {
            // Its session lives on in 1C however an answer was lost: one begun anew each time would use up the licences.
            if case .refused = failure { failures = 0 } else { failures += 1 }
            // Perhaps the session itself is what ails.
            var endsSession = failures > 0 && failures.isMultiple(of: Self.sessionPatience)
            if case .unfit = failure { endsSession = true }
            if endsSession {
                cookie = nil
                try await sessions.save(nil)
            }
            // What was only asked was not done, whatever became of the answer.
            if case .doubtful(let why) = failure, !isWrite { throw DriverFailure.away(why) }
            throw failure
        }
    }

    /// The session that the last process had: it holds a licence until it expires.
    private func takeUpSession() async throws {
        guard !isCookieLoaded else { return }
        cookie = try await sessions.load()
        isCookieLoaded = true
    }

    private func keepSession(_ response: HTTPClient.Response) async throws {
        let given = response.headers.first { $0.name == "set-cookie" && $0.value.lowercased().hasPrefix("ibsession=") }
        guard let given else { return }
        let fresh = String(given.value.prefix { $0 != ";" })
        if fresh != cookie { try await sessions.save(fresh) }
        cookie = fresh
    }

    /// Percent-encoded as UTF-8; what separates the parts of a path or a query stays out of a value.
    static func encoded(_ text: String) -> String {
        var out = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
                UInt8(ascii: "~"), UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "'"), UInt8(ascii: ","),
                UInt8(ascii: "*"):
                out.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let hex = String(byte, radix: 16, uppercase: true)
                out += "%" + (hex.count == 1 ? "0" : "") + hex
            }
        }
        return out
    }
}
