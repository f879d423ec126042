import Contracts
import HTTPTypes
import Hummingbird
import NIOCore

/// An error as callers see it: `application/problem+json` (RFC 9457) with a stable `type`.
public struct Problem: Error, HTTPResponseError, Sendable {
    public let status: HTTPResponse.Status
    /// Stable: callers may branch on it.
    public let type: String
    public let title: String
    public let detail: String?

    public init(_ status: HTTPResponse.Status, _ type: String, _ title: String, detail: String? = nil) {
        self.status = status
        self.type = type
        self.title = title
        self.detail = detail
    }

    public static func badRequest(_ detail: String) -> Problem {
        Problem(.badRequest, "bad-request", "The request cannot be understood", detail: detail)
    }
    public static func invalid(_ detail: String) -> Problem {
        Problem(.unprocessableContent, "invalid", "The request breaks a rule", detail: detail)
    }
    public static func notFound(_ what: String) -> Problem {
        Problem(.notFound, "not-found", "There is no such \(what)")
    }
    public static let unauthorized = Problem(
        .unauthorized, "unauthorized", "A valid session token or API key is required")
    public static let forbidden = Problem(
        .forbidden, "forbidden", "This role may not do that")
    public static func conflict(_ detail: String) -> Problem {
        Problem(.conflict, "conflict", "The record has changed or is in another state", detail: detail)
    }
    public static func tooLarge(limit: Int) -> Problem {
        Problem(
            .contentTooLarge, "too-large", "The body is over its limit",
            detail: "at most \(limit) bytes are taken here")
    }

    public func response(from request: Request, context: some RequestContext) throws -> Response {
        let body = try JSON.encode(
            Body(
                type: "https://throughline.example/problems/\(type)", title: title,
                status: status.code, detail: detail))
        var headers: HTTPFields = [.contentType: "application/problem+json"]
        if status == .unauthorized { headers[.wwwAuthenticate] = "Bearer" }
        return Response(status: status, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: body)))
    }

    private struct Body: Encodable {
        let type, title: String
        let status: Int
        let detail: String?
    }
}
