import Contracts
import HTTPTypes
import Hummingbird
import NIOCore
import Primitives

/// What a request carries through the handlers: who calls.
public struct ServiceRequestContext: RequestContext {
    public var coreContext: CoreRequestContextStorage
    public var caller: Caller?

    /// The address of the peer that connected: a client, or the proxy in front of us.
    let peer: String?
    /// Of whom it is believed for whom he asks.
    var proxies: [AddressRange] = []

    public init(source: Source) {
        coreContext = .init(source: source)
        peer = source.channel.remoteAddress?.ipAddress
    }

    /// What a client's attempts are counted by. What the header says is believed only of a known proxy, and of it the last word, which is the
    /// proxy's own: anybody may send the header.
    public func clientAddress(_ request: Request) -> String {
        guard let peer else { return "unknown" }
        let said =
            proxies.contains { $0.contains(peer) }
            ? HTTPField.Name("X-Forwarded-For").flatMap { request.headers[$0] }?.split(separator: ",").last : nil
        return said.flatMap { AddressRange.client(String($0)) } ?? AddressRange.client(peer) ?? peer
    }

    /// A part of the path as a person means it: the router leaves it percent-encoded, and names may be Cyrillic. No name holds U+0000, which the database
    /// would not take.
    public func text(_ name: String) throws -> String {
        Form.decoded(path: try parameters.require(name)[...]).withoutNUL
    }

    /// The caller, who must be known.
    @discardableResult
    public func requireCaller() throws -> Caller {
        guard let caller else { throw Problem.unauthorized }
        return caller
    }

    /// The caller, who must be one that reads: a person, or a program whose key says so.
    @discardableResult
    public func requireReader() throws -> Caller {
        let caller = try requireCaller()
        guard caller.mayRead else { throw Problem.forbidden }
        return caller
    }

    /// The caller, who must have one of the roles; an admin may do everything.
    @discardableResult
    public func require(_ roles: String...) throws -> Caller {
        let caller = try requireCaller()
        guard caller.isAdmin || !caller.roles.isDisjoint(with: roles) else { throw Problem.forbidden }
        return caller
    }
}

extension Request {
    /// The body's bytes. One that is over `limit` is read to its end, so that the caller sees the answer, and
    /// thrown away.
    public func bytes(limit: Int) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        var total = 0
        for try await part in body {
            total += part.readableBytes
            if total <= limit { bytes += part.readableBytesView }
        }
        guard total <= limit else { throw Problem.tooLarge(limit: limit) }
        return bytes
    }

    /// The body as JSON of a known shape.
    public func json<Value: Decodable>(_ type: Value.Type, limit: Int = 256 * 1024) async throws -> Value {
        let bytes = try await bytes(limit: limit)
        do { return try JSON.decode(type, from: bytes) } catch let error as DecodingError {
            throw Problem.badRequest(error.place)
        } catch {
            throw Problem.badRequest("the body is no JSON of the wanted shape")
        }
    }

    /// A parameter of the query as browsers write it: a plus is a blank. The first of several.
    public func query(_ name: String) -> String? { uri.query.flatMap { Form.value(name, in: $0) } }

    /// An id of the query; 400 when it is none.
    public func idQuery(_ name: String) throws -> ID? {
        try query(name).map { text in
            guard let id = ID(text) else { throw Problem.badRequest("\(name) is not an id") }
            return id
        }
    }

    /// A time of the query; 400 when it is none.
    public func timeQuery(_ name: String) throws -> Timestamp? {
        try query(name).map { text in
            guard let time = Timestamp(text) else { throw Problem.badRequest("\(name) is no RFC 3339 time") }
            return time
        }
    }

    /// The language a page is wanted in: `?lang=`, the cookie, `Accept-Language` of the workspace that forwards.
    public func language(_ fallback: Language) -> Language {
        let wanted = [query("lang"), cookies["lang"]?.value, headers[.acceptLanguage].map { String($0.prefix(2)) }]
        return wanted.lazy.compactMap { $0.flatMap { Language(rawValue: $0) } }.first ?? fallback
    }

    /// `?limit=`, 1 to 200; 50 when absent.
    public func limit() throws -> Int {
        guard let text = query("limit") else { return 50 }
        guard let limit = Int(text), (1...200).contains(limit) else {
            throw Problem.badRequest("limit is a number from 1 to 200")
        }
        return limit
    }
}

extension DecodingError {
    /// Where a JSON body breaks its shape, without the values: they may be personal data.
    public var place: String {
        func path(_ context: Context) -> String {
            context.codingPath.map(\.stringValue).joined(separator: ".")
        }
        return switch self {
        case .keyNotFound(let key, let context):
            "«\((context.codingPath.map(\.stringValue) + [key.stringValue]).joined(separator: "."))» is missing"
        case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
            "«\(path(context))» is not of the wanted kind (\(type))"
        case .dataCorrupted(let context):
            context.codingPath.isEmpty
                ? "the body is no JSON" : "«\(path(context))»: \(context.debugDescription)"
        @unknown default: "the body is no JSON of the wanted shape"
        }
    }
}

/// Answers of the usual kinds.
extension Response {
    public static func json(_ value: some Encodable, _ status: HTTPResponse.Status = .ok) throws -> Response {
        Response(
            status: status, headers: [.contentType: "application/json; charset=utf-8"],
            body: .init(byteBuffer: ByteBuffer(bytes: try JSON.encode(value))))
    }

    public static func text(
        _ text: String, type: String = "text/plain; charset=utf-8",
        _ status: HTTPResponse.Status = .ok
    ) -> Response {
        Response(
            status: status, headers: [.contentType: type],
            body: .init(byteBuffer: ByteBuffer(string: text)))
    }

    public static func html(_ text: String, _ status: HTTPResponse.Status = .ok) -> Response {
        var response = Response.text(text, type: "text/html; charset=utf-8", status)
        response.headers[.cacheControl] = "no-store"
        return response
    }
}

/// One page of a list: `{"items":[…],"next":"…"|null}`.
public struct Page<Item: Encodable & Sendable>: Encodable, Sendable {
    public let items: [Item]
    public let next: String?

    public init(items: [Item], next: String?) {
        self.items = items
        self.next = next
    }

    enum CodingKeys: CodingKey { case items, next }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(items, forKey: .items)
        try container.encode(next, forKey: .next)
    }
}
