internal import CCurl
import Dispatch

/// Sends a mail through any SMTP server: STARTTLS when it is offered, authentication from the URL.
public struct SMTPClient: Sendable {
    public enum Outcome: Sendable {
        case accepted
        /// The server may take it later: 4xx, no connection, a cut before the data was accepted; also when it refuses not the letter but us,
        /// such as a password that is no longer right (RFC 4954, 6: 530, 534, 535, 538).
        case later(String)
        /// The server will never take this letter: 5xx for its sender, its recipient or its data.
        case refused(String)
    }

    private let url: String

    /// - Parameter url: `smtp://user:password@host:587`, or `smtps://…`. Never logged.
    public init(url: String) {
        CurlLibrary.start()
        self.url = url
    }

    public func send(from: String, to: String, message: String) async -> Outcome {
        let url = self.url
        return await withCheckedContinuation { continuation in
            DispatchQueue(label: "throughline.smtp").async {
                continuation.resume(returning: Self.perform(url, from, to, message))
            }
        }
    }

    private static func perform(_ url: String, _ from: String, _ to: String, _ message: String)
        -> Outcome
    {
        guard let curl = curl_easy_init() else { return .later("out of memory") }
        defer { curl_easy_cleanup(curl) }
        let recipients = curl_slist_append(nil, "<\(to)>")
        defer { curl_slist_free_all(recipients) }
        _ = throughline_curl_string(curl, CURLOPT_URL, url)
        _ = throughline_curl_string(curl, CURLOPT_MAIL_FROM, "<\(from)>")
        _ = throughline_curl_list(curl, CURLOPT_MAIL_RCPT, recipients)
        _ = throughline_curl_long(curl, CURLOPT_USE_SSL, Int(CURLUSESSL_TRY.rawValue))
        _ = throughline_curl_long(curl, CURLOPT_UPLOAD, 1)
        _ = throughline_curl_long(curl, CURLOPT_NOSIGNAL, 1)
        _ = throughline_curl_long(curl, CURLOPT_TIMEOUT_MS, 60_000)
        _ = throughline_curl_long(curl, CURLOPT_CONNECTTIMEOUT_MS, 10_000)
        let source = Source(Array(message.utf8))
        _ = throughline_curl_read(curl, onRead)
        _ = throughline_curl_pointer(
            curl, CURLOPT_READDATA, Unmanaged.passUnretained(source).toOpaque())
        let result = withExtendedLifetime(source) { curl_easy_perform(curl) }
        guard result != CURLE_OK else { return .accepted }
        var code = 0
        _ = throughline_curl_response(curl, &code)
        let words = String(cString: curl_easy_strerror(result)) + (code > 0 ? " (\(code))" : "")
        let refusesUs =
            result == CURLE_LOGIN_DENIED || result == CURLE_REMOTE_ACCESS_DENIED || [530, 534, 535, 538].contains(code)
        return (500...599).contains(code) && !refusesUs ? .refused(words) : .later(words)
    }

    private final class Source {
        var rest: ArraySlice<UInt8>
        init(_ bytes: [UInt8]) { rest = bytes[...] }
    }

    private static let onRead:
        @convention(c) (
            UnsafeMutablePointer<CChar>?, Int, Int, UnsafeMutableRawPointer?
        ) -> Int = { buffer, size, count, user in
            guard let buffer, let user else { return 0 }
            let source = Unmanaged<Source>.fromOpaque(user).takeUnretainedValue()
            let piece = source.rest.prefix(size * count)
            for (index, byte) in piece.enumerated() { buffer[index] = CChar(bitPattern: byte) }
            source.rest = source.rest.dropFirst(piece.count)
            return piece.count
        }
}
