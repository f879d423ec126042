import Curl
import Postgres
import Primitives

/// What a driver talks through: everything that goes out or comes in stands in the journal, what goes out before it goes.
struct ExchangeWire: Sendable {
    let journal: ExchangeJournal
    let base: String
    let session: ID
    /// The order that is talked of, when it is one.
    var order: (number: String, journey: ID?)?

    /// Asks over HTTP.
    ///
    /// - Parameters:
    ///   - request: its headers, where secrets are, are not kept.
    ///   - judge: what the answer means; its error is kept as the reason, and thrown.
    func call<Value: Sendable>(
        _ kind: String, _ request: HTTPClient.Request, _ client: HTTPClient,
        _ judge: @Sendable (HTTPClient.Response) throws -> (Value, understood: [String])
    ) async throws -> (value: Value, exchange: ID) {
        let id = try await open(kind, request.method, request.url, request.body ?? [], direction: "out")
        let response: HTTPClient.Response
        do { response = try await client.send(request) } catch let failure as HTTPClient.Failure {
            // Of what was only asked too much is told: that is no outage, and asked in parts it may be less.
            if failure.isTooLarge, request.method == "GET" {
                let words = "1С ответила больше, чем принимается (\(ODataClient.answerLimit) байт)"
                try await close(id, status: nil, [], .failed(words))
                throw DriverFailure.refused(words)
            }
            let words =
                failure.mayHaveArrived
                ? "ответ не пришёл (\(failure.description))" : "нет соединения (\(failure.description))"
            try await close(id, status: nil, [], .failed(words))
            throw failure.mayHaveArrived ? DriverFailure.doubtful(words) : .away(words)
        } catch is CancellationError {
            try? await Task { try await close(id, status: nil, [], .failed("прервано остановкой службы")) }.value
            throw DriverFailure.doubtful("прервано остановкой службы")
        }
        do {
            let (value, understood) = try judge(response)
            try await close(id, status: response.status, response.body, .ok(understood))
            return (value, id)
        } catch let failure as DriverFailure {
            try await close(id, status: response.status, response.body, .failed(failure.words))
            throw failure
        }
    }

    enum Outcome: Sendable {
        case ok([String])
        case failed(String)
        case parked(String, understood: [String] = [])
    }

    func open(_ kind: String, _ method: String, _ target: String, _ body: [UInt8], direction: String) async throws
        -> ID
    {
        try await journal.open(
            base: base, session: session, kind: kind, method: method, target: target, body: body, direction: direction,
            order: order?.number, journey: order?.journey)
    }

    /// - Parameter orders: numbers of the orders that it is about; without any, the order that is talked of.
    func close(_ id: ID, status: Int?, _ answer: [UInt8], _ outcome: Outcome, orders: [String] = []) async throws {
        var entry = ExchangeJournal.Entry(status: status, answer: answer)
        switch outcome {
        case .ok(let understood): entry.understood = understood
        case .failed(let reason): (entry.result, entry.reason) = ("failed", reason)
        case .parked(let reason, let understood):
            (entry.result, entry.reason, entry.understood) = ("parked", reason, understood)
        }
        if !orders.isEmpty {
            entry.orders = orders
        } else if let order {
            entry.orders = [order.number]
            entry.journeys = [order.journey].compactMap { $0 }
        }
        try await journal.close(id, entry)
    }
}
