import Contracts
import HTTPTypes
import Hummingbird
import Messaging
import NIOCore
import Postgres
import Sodium

/// `Idempotency-Key`: the same POST again gets the first answer; the key with another body is refused. The key, what it
/// did and its answer are one transaction, so that no crash can do the work twice. They stand in the service's own table `idempotency` for a week.
public struct Idempotency: Sendable {
    let bus: EventBus

    public typealias Work = @Sendable (EventTransaction, _ body: [UInt8]) async throws -> Answer

    public struct Answer: Sendable {
        let status: Int
        let body: [UInt8]

        public init(_ status: HTTPResponse.Status, _ value: some Encodable) throws {
            self.status = status.code
            body = Array(try JSON.encode(value))
        }

        fileprivate init(status: Int, body: [UInt8]) {
            self.status = status
            self.body = body
        }

        fileprivate var response: Response {
            Response(
                status: .init(code: status), headers: [.contentType: "application/json; charset=utf-8"],
                body: .init(byteBuffer: ByteBuffer(bytes: body)))
        }
    }

    public init(bus: EventBus) { self.bus = bus }

    /// Throws away what is older than a week.
    public static let housekeeping = Statement("DELETE FROM idempotency WHERE at < now() - interval '7 days'")

    private static let bodyLimit = 256 * 1024
    private static let keyLimit = 200

    /// Answers a POST; with `required` it must carry a key.
    public func run(
        _ request: Request, _ caller: Caller, required: Bool = false, _ work: @escaping Work
    ) async throws -> Response {
        let body = try await request.bytes(limit: Self.bodyLimit)
        guard let name = HTTPField.Name("Idempotency-Key"), let key = request.headers[name] else {
            if required {
                throw Problem(
                    .badRequest, "idempotency-key", "This POST needs an Idempotency-Key",
                    detail: "an order sent twice would be made twice")
            }
            return try await bus.transaction { try await work($0, body) }.response
        }
        guard (1...Self.keyLimit).contains(key.utf8.count) else {
            throw Problem.badRequest("Idempotency-Key has 1 to \(Self.keyLimit) characters")
        }
        return try await once(key, route: request.uri.path, caller, body, work).response
    }

    /// Does `work` once per caller, route and key; later calls get its answer.
    public func once(
        _ key: String, route: String, _ caller: Caller, _ body: [UInt8], _ work: @escaping Work
    ) async throws -> Answer {
        let digest = sha256(body)
        let who: [Parameter] = [
            .text(caller.userID?.description ?? "key:\(caller.name)"), .text(route), .text(key),
        ]
        do {
            return try await bus.transaction { transaction in
                guard try await claim(who, digest, in: transaction) else {
                    return try await known(who, digest, in: transaction)
                }
                let answer = try await work(transaction, body)
                try await transaction.query(
                    """
                    UPDATE idempotency SET status = $4, body = $5 WHERE caller = $1 AND route = $2 AND key = $3
                    """, who + [.int(answer.status), .bytes(answer.body)])
                return answer
            }
        } catch let error as PostgresError where error.sqlState == "55P03" {
            throw Problem.conflict("the first request with this key is still being worked")
        }
    }

    /// Waits for another transaction with the same key; true when the key is ours.
    private func claim(_ who: [Parameter], _ digest: [UInt8], in transaction: EventTransaction) async throws -> Bool {
        try await transaction.query(
            """
            INSERT INTO idempotency AS i (caller, route, key, digest, status, body) VALUES ($1, $2, $3, $4, 0, '')
            ON CONFLICT (caller, route, key) DO UPDATE SET digest = excluded.digest, at = now()
            WHERE i.at < now() - interval '7 days'
            """, who + [.bytes(digest)]
        ).affected == 1
    }

    private func known(
        _ who: [Parameter], _ digest: [UInt8], in transaction: EventTransaction
    ) async throws -> Answer {
        let row = try await transaction.query(
            "SELECT digest, status, body FROM idempotency WHERE caller = $1 AND route = $2 AND key = $3", who)[0]
        guard try row.bytes("digest") == digest else {
            throw Problem(
                .unprocessableContent, "idempotency-key", "This Idempotency-Key was used with another body")
        }
        return Answer(status: Int(try row.int("status")), body: try row.bytes("body"))
    }
}

/// A body read under `Idempotency-Key`; an empty one is an empty object.
public func decodeBody<Value: Decodable>(_ type: Value.Type, _ bytes: [UInt8]) throws -> Value {
    do { return try JSON.decode(type, from: bytes.isEmpty ? Array("{}".utf8) : bytes) } catch {
        throw Problem.badRequest((error as? DecodingError)?.place ?? "the body is no JSON")
    }
}
