import Contracts
import Hummingbird
import HTTPTypes
import NIOCore
import Postgres
import ServiceKit
import Sodium

/// `Idempotency-Key`: the same POST again gets the first answer; the key with another body is refused.
struct Idempotency: Sendable {
    let pool: PostgresPool

    func run(
        _ request: Request, _ caller: Caller, required: Bool = false,
        _ work: (_ bytes: [UInt8]) async throws -> (HTTPResponse.Status, any Encodable & Sendable)
    ) async throws -> Response {
        let bytes = try await request.bytes(limit: 256 * 1024)
        guard let name = HTTPField.Name("Idempotency-Key"), let key = request.headers[name] else {
            if required {
                throw Problem(
                    .badRequest, "idempotency-key", "This POST needs an Idempotency-Key",
                    detail: "an order sent twice would be made twice")
            }
            let (status, value) = try await work(bytes)
            return answer(status.code, Array(try JSON.encode(value)))
        }
        guard (1...200).contains(key.utf8.count) else {
            throw Problem.badRequest("Idempotency-Key has 1 to 200 characters")
        }
        let digest = sha256(bytes)
        let who: [Parameter] = [
            .text(caller.userID?.description ?? "key:\(caller.name)"), .text(request.uri.path), .text(key),
        ]
        if let known = try await find(who) {
            guard known.digest == digest else { throw Self.otherBody }
            return answer(known.status, known.body)
        }
        let claimed = try await pool.query(
            """
            INSERT INTO idempotency (caller, route, key, digest, status, body)
            VALUES ($1, $2, $3, $4, 0, '') ON CONFLICT DO NOTHING
            """, who + [.bytes(digest)]
        ).affected == 1
        guard claimed else { throw Problem.conflict("the first request with this key is still being worked") }
        do {
            let (status, value) = try await work(bytes)
            let collected = Array(try JSON.encode(value))
            try await pool.query(
                "UPDATE idempotency SET status = $4, body = $5 WHERE caller = $1 AND route = $2 AND key = $3",
                who + [.int(status.code), .bytes(collected)])
            return answer(status.code, collected)
        } catch {
            // Nothing was done: the key may be used again.
            try await pool.query(
                "DELETE FROM idempotency WHERE caller = $1 AND route = $2 AND key = $3 AND status = 0", who)
            throw error
        }
    }

    private static let otherBody = Problem(
        .unprocessableContent, "idempotency-key", "This Idempotency-Key was used with another body")

    private func find(_ who: [Parameter]) async throws -> (digest: [UInt8], status: Int, body: [UInt8])? {
        guard let row = try await pool.query(
            """
            SELECT digest, status, body FROM idempotency
            WHERE caller = $1 AND route = $2 AND key = $3 AND at > now() - interval '7 days'
                AND (status <> 0 OR at > now() - interval '1 minute')
            """, who
        ).first else {
            try await pool.query(
                "DELETE FROM idempotency WHERE caller = $1 AND route = $2 AND key = $3", who)
            return nil
        }
        let status = Int(try row.int("status"))
        guard status != 0 else {
            throw Problem.conflict("the first request with this key is still being worked")
        }
        return (try row.bytes("digest"), status, try row.bytes("body"))
    }

    private func answer(_ status: Int, _ body: [UInt8]) -> Response {
        Response(
            status: .init(code: status), headers: [.contentType: "application/json; charset=utf-8"],
            body: .init(byteBuffer: ByteBuffer(bytes: body)))
    }
}
