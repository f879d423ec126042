import Hummingbird
import NIOCore

extension Response {
    /// News for an open page as server-sent events (`text/event-stream`, HTML Living Standard 9.2): a `data` line for each, a comment as a
    /// sign of life.
    ///
    /// - Parameter news: of ``Listeners``; 503 when there is no place for one more page.
    public static func live<News: Sendable>(_ news: AsyncStream<News?>?, data: @escaping @Sendable (News) -> String)
        throws -> Response
    {
        guard let news else { throw Problem(.serviceUnavailable, "too-many-pages", "Too many pages are open") }
        let body = ResponseBody { writer in
            try await writer.write(ByteBuffer(string: ": open\n\n"))
            for await one in news {
                try await writer.write(ByteBuffer(string: one.map { "data: \(data($0))\n\n" } ?? ":\n\n"))
            }
            try await writer.finish(nil)
        }
        return Response(
            status: .ok, headers: [.contentType: "text/event-stream", .cacheControl: "no-store"], body: body)
    }
}
