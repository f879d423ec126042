import HTTPTypes
import Hummingbird
import Messaging
import Metrics
import Postgres
import Primitives
import Synchronization

/// Turns every error into a problem document, and logs only what is our own fault.
struct ProblemMiddleware: RouterMiddleware {
    typealias Context = ServiceRequestContext

    func handle(
        _ request: Request, context: Context,
        next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        do { return try await next(request, context) } catch let answer as LoginRequired {
            return try answer.response(from: request, context: context)
        } catch {
            let problem = Self.problem(error)
            if problem.status.code >= 500 {
                context.logger.error(
                    "request failed",
                    metadata: ["path": "\(request.uri.path.masked)", "reason": "\(error)"])
            }
            return try problem.response(from: request, context: context)
        }
    }

    private static func problem(_ error: any Error) -> Problem {
        switch error {
        case let problem as Problem: problem
        case let error as HTTPError where error.status == .notFound: .notFound("page")
        case let error as HTTPError: Problem(error.status, "http", error.body ?? "The request failed")
        case let error as PostgresError where error.isTransient:
            Problem(.serviceUnavailable, "unavailable", "The database is not reachable; try again")
        case let error as PostgresError where error.sqlState?.hasPrefix("22") == true:
            .badRequest("a value is not of the wanted form")
        case let error as PostgresError where error.sqlState == "23503":
            .invalid("a record that is named here does not exist")
        case let error as EventTooLarge: .invalid("it is too large: \(error)")
        default: Problem(.internalServerError, "internal", "The request failed; it has been logged")
        }
    }
}

/// Tells the handlers which proxies are believed.
struct ProxyMiddleware: RouterMiddleware {
    typealias Context = ServiceRequestContext
    let proxies: [AddressRange]

    func handle(
        _ request: Request, context: Context,
        next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        var context = context
        context.proxies = proxies
        return try await next(request, context)
    }
}

/// Says that the connection ends when the client wants it to (RFC 9112, 9.6): the server closes it, and a client with a pool that was not told so
/// would send its next request into nothing.
struct ConnectionMiddleware: RouterMiddleware {
    typealias Context = ServiceRequestContext

    func handle(
        _ request: Request, context: Context,
        next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        var response = try await next(request, context)
        if request.headers[.connection]?.lowercased() == "close" { response.headers[.connection] = "close" }
        return response
    }
}

/// Finds out who calls: a bearer token, an API key, or the workspace's cookie.
struct CallerMiddleware: RouterMiddleware {
    typealias Context = ServiceRequestContext
    let access: AccessControl
    /// Forms are answered here and carry their token: the workspace alone.
    let takesForms: Bool

    func handle(
        _ request: Request, context: Context,
        next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        var context = context
        if let header = request.headers[.authorization], header.lowercased().hasPrefix("bearer ") {
            context.caller = access.caller(
                bearer: String(header.dropFirst(7)).trimmed)
        } else if let cookie = request.cookies[AccessControl.cookie]?.value {
            // A cookie comes along from any page: where no form's token is asked for, it reads only.
            let reads = [.get, .head].contains(request.method)
            // By the path's parts, as the router reads it: it takes `//api` for `/api`.
            let asksForToken = takesForms && request.uri.path.split(separator: "/").first != "api"
            context.caller = reads || asksForToken ? access.caller(bearer: cookie) : nil
        }
        return try await next(request, context)
    }
}

/// Counts requests and their times by route and status.
struct RequestMetrics: RouterMiddleware {
    typealias Context = ServiceRequestContext
    private let timers = Timers()

    func handle(
        _ request: Request, context: Context,
        next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        let start = ContinuousClock.now
        let response = try await next(request, context)
        timers.of(context.endpointPath ?? "none", request.method.rawValue, response.status.code)
            .recordNanoseconds((ContinuousClock.now - start).nanoseconds)
        return response
    }

    /// A timer per route, method and status, made once: making one costs more than the request it measures.
    private final class Timers: Sendable {
        private struct Key: Hashable {
            let route, method: String
            let status: Int
        }
        private let made = Mutex<[Key: Metrics.Timer]>([:])
        private static let methods: Set = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"]

        func of(_ route: String, _ method: String, _ status: Int) -> Metrics.Timer {
            // Anybody may invent a method; it must not make a series of its own.
            let key = Key(route: route, method: Self.methods.contains(method) ? method : "other", status: status)
            return made.withLock { made in
                if let timer = made[key] { return timer }
                let timer = Metrics.Timer(
                    label: "http_request_seconds",
                    dimensions: [("route", route), ("method", key.method), ("status", String(status))])
                made[key] = timer
                return timer
            }
        }
    }
}

/// Nobody is logged in: a person is sent to the log-in page.
public struct LoginRequired: Error, HTTPResponseError {
    public let status = HTTPResponse.Status.seeOther
    public init() {}
    public func response(from request: Request, context: some RequestContext) throws -> Response {
        Response(status: status, headers: [.location: "/login"])
    }
}

extension Duration {
    var nanoseconds: Int64 {
        components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000
    }
}

extension String {
    /// A path without the bot token that may stand in it.
    var masked: String {
        split(separator: "/", omittingEmptySubsequences: false).map {
            $0.hasPrefix("bot") && $0.contains(":") ? "bot***" : String($0)
        }.joined(separator: "/")
    }
}
