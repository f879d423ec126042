internal import CCurl
import Dispatch
import Synchronization

/// An HTTP client over libcurl, proxies included (`HTTPS_PROXY` is honoured). Each request runs on a private
/// serial queue, so a slow peer holds a thread of its own and never the cooperative pool.
public struct HTTPClient: Sendable {
    public struct Request: Sendable {
        public var method: String
        public var url: String
        public var headers: [(String, String)]
        public var body: [UInt8]?
        public var timeoutSeconds: Double

        public init(
            _ method: String, _ url: String, headers: [(String, String)] = [], body: [UInt8]? = nil,
            timeoutSeconds: Double = 30
        ) {
            self.method = method
            self.url = url
            self.headers = headers
            self.body = body
            self.timeoutSeconds = timeoutSeconds
        }
    }

    public struct Response: Sendable {
        public let status: Int
        public let headers: [(name: String, value: String)]
        public let body: [UInt8]

        public init(status: Int, headers: [(name: String, value: String)], body: [UInt8]) {
            (self.status, self.headers, self.body) = (status, headers, body)
        }

        public func header(_ name: String) -> String? {
            headers.last { $0.name == name.lowercased() }?.value
        }
    }

    public struct Failure: Error, CustomStringConvertible, Sendable {
        /// False when the request surely never left: repeating it is safe.
        public let mayHaveArrived: Bool
        public let description: String
        /// The answer came, and is larger than it may be.
        public var isTooLarge = false
    }

    /// Bytes of an answer at most.
    private let bodyLimit: Int

    public init(bodyLimit: Int = 32 * 1024 * 1024) {
        CurlLibrary.start()
        self.bodyLimit = bodyLimit
    }

    public func send(_ request: Request) async throws -> Response {
        let limit = bodyLimit
        return try await onPrivateQueue { cancelled in
            let exchange = Exchange(limit: limit, cancelled: cancelled, sink: nil)
            try exchange.perform(request)
            return Response(
                status: exchange.status, headers: exchange.headers, body: exchange.collected)
        }
    }

    /// Streams an answer: `onHead` gets status and headers, `onBytes` each piece. Either may throw to end it.
    public func stream(
        _ request: Request, onHead: @escaping @Sendable (Response) -> Void,
        onBytes: @escaping @Sendable ([UInt8]) -> Bool
    ) async throws {
        try await onPrivateQueue { cancelled in
            let exchange = Exchange(
                limit: .max, cancelled: cancelled, sink: .init(onHead: onHead, onBytes: onBytes))
            try exchange.perform(request)
            exchange.announceHead()
        }
    }

    private func onPrivateQueue<Value: Sendable>(
        _ work: @escaping @Sendable (CancelFlag) throws -> Value
    ) async throws -> Value {
        let flag = CancelFlag()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                DispatchQueue(label: "throughline.http").async {
                    continuation.resume(with: Result { try work(flag) })
                }
            }
        } onCancel: {
            flag.set()
        }
    }
}

final class CancelFlag: Sendable {
    private let value = Mutex(false)
    func set() { value.withLock { $0 = true } }
    var isSet: Bool { value.withLock { $0 } }
}

enum CurlLibrary {
    private static let started: Void = { _ = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) }()
    static func start() { _ = started }
}

/// One libcurl transfer; lives on one queue.
private final class Exchange {
    struct Sink {
        let onHead: @Sendable (HTTPClient.Response) -> Void
        let onBytes: @Sendable ([UInt8]) -> Bool
    }
    private let limit: Int
    private let cancelled: CancelFlag
    private let sink: Sink?
    private(set) var headers: [(name: String, value: String)] = []
    private(set) var collected: [UInt8] = []
    private(set) var status = 0
    private var announced = false

    private var isTooLarge = false

    init(limit: Int, cancelled: CancelFlag, sink: Sink?) {
        self.limit = limit
        self.cancelled = cancelled
        self.sink = sink
    }

    func perform(_ request: HTTPClient.Request) throws {
        guard let curl = curl_easy_init() else {
            throw HTTPClient.Failure(mayHaveArrived: false, description: "out of memory")
        }
        defer { curl_easy_cleanup(curl) }
        var list: UnsafeMutablePointer<curl_slist>?
        for (name, value) in request.headers { list = curl_slist_append(list, "\(name): \(value)") }
        list = curl_slist_append(list, "Expect:")
        defer { curl_slist_free_all(list) }
        _ = throughline_curl_string(curl, CURLOPT_URL, request.url)
        _ = throughline_curl_string(curl, CURLOPT_CUSTOMREQUEST, request.method)
        _ = throughline_curl_list(curl, CURLOPT_HTTPHEADER, list)
        _ = throughline_curl_long(curl, CURLOPT_NOSIGNAL, 1)
        _ = throughline_curl_long(curl, CURLOPT_CONNECTTIMEOUT_MS, 10_000)
        _ = throughline_curl_long(curl, CURLOPT_TIMEOUT_MS, Int(request.timeoutSeconds * 1000))
        if request.method == "HEAD" { _ = throughline_curl_long(curl, CURLOPT_NOBODY, 1) }
        let body = request.body ?? []
        let me = Unmanaged.passUnretained(self).toOpaque()
        throughline_curl_callbacks(curl, me, onHeader, onBody, onProgress)
        let result = body.withUnsafeBytes { memory -> CURLcode in
            if request.body != nil {
                throughline_curl_body(curl, memory.baseAddress, memory.count)
            }
            return curl_easy_perform(curl)
        }
        var code = 0
        _ = throughline_curl_response(curl, &code)
        status = code
        guard result == CURLE_OK else {
            if cancelled.isSet { throw CancellationError() }
            // A time-out may lie before the first byte: while it was connecting.
            var bytes = 0
            _ = throughline_curl_request_bytes(curl, &bytes)
            let unsent =
                (result == CURLE_OPERATION_TIMEDOUT && bytes == 0)
                || [
                    CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY,
                    CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL, CURLE_SSL_CONNECT_ERROR,
                    CURLE_PEER_FAILED_VERIFICATION,
                ].contains(result)
            throw HTTPClient.Failure(
                mayHaveArrived: !unsent,
                description: isTooLarge
                    ? "the answer is larger than \(limit) bytes" : String(cString: curl_easy_strerror(result)),
                isTooLarge: isTooLarge)
        }
    }

    func announceHead() {
        guard !announced, let sink else { return }
        announced = true
        sink.onHead(.init(status: status, headers: headers, body: []))
    }

    func header(_ line: String) {
        // A new status line: what came before was an interim answer.
        if line.hasPrefix("HTTP/") {
            headers = []
            let words = line.split(separator: " ")
            status = words.count > 1 ? Int(words[1]) ?? 0 : 0
            return
        }
        guard let colon = line.firstIndex(of: ":") else { return }
        let value = line[line.index(after: colon)...].drop { $0 == " " }
        headers.append((line[..<colon].lowercased(), String(value)))
    }

    func bytes(_ piece: [UInt8]) -> Bool {
        if let sink {
            announceHead()
            return sink.onBytes(piece)
        }
        guard collected.count + piece.count <= limit else {
            isTooLarge = true
            return false
        }
        collected += piece
        return true
    }

    var goesOn: Bool { !cancelled.isSet }
}

private func exchange(_ pointer: UnsafeMutableRawPointer?) -> Exchange? {
    pointer.map { Unmanaged<Exchange>.fromOpaque($0).takeUnretainedValue() }
}

private let onHeader:
    @convention(c) (
        UnsafeMutablePointer<CChar>?, Int, Int, UnsafeMutableRawPointer?
    ) -> Int = { data, size, count, user in
        guard let data else { return 0 }
        let bytes = UnsafeRawBufferPointer(start: data, count: size * count)
        let line = String(decoding: bytes, as: UTF8.self)
        exchange(user)?.header(String(line.prefix { !$0.isNewline }))
        return size * count
    }

private let onBody:
    @convention(c) (
        UnsafeMutablePointer<CChar>?, Int, Int, UnsafeMutableRawPointer?
    ) -> Int = { data, size, count, user in
        guard let data, let exchange = exchange(user) else { return 0 }
        let bytes = Array(UnsafeRawBufferPointer(start: data, count: size * count))
        return exchange.bytes(bytes) ? size * count : 0
    }

private let onProgress:
    @convention(c) (
        UnsafeMutableRawPointer?, curl_off_t, curl_off_t, curl_off_t, curl_off_t
    ) -> Int32 = { user, _, _, _, _ in exchange(user)?.goesOn == true ? 0 : 1 }
