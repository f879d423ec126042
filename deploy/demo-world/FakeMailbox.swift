import FoundationEssentials
import NIOCore
import NIOPosix

/// An SMTP server that puts every letter into a file.
struct FakeMailbox: Sendable {
    let port: Int
    let folder: String

    func run() async throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let folder = self.folder
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Session(folder: folder))
                }
            }
            .bind(host: "127.0.0.1", port: port).get()
        try await server.closeFuture.get()
    }

    private final class Session: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let folder: String
        private var pending = ""
        private var letter: String?

        init(folder: String) { self.folder = folder }

        func channelActive(context: ChannelHandlerContext) { say("220 demo mailbox", context) }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let buffer = unwrapInboundIn(data)
            pending += String(decoding: buffer.readableBytesView, as: UTF8.self)
            while let end = pending.range(of: "\r\n") {
                let line = String(pending[..<end.lowerBound])
                pending = String(pending[end.upperBound...])
                take(line, context)
            }
        }

        private func take(_ line: String, _ context: ChannelHandlerContext) {
            if let text = letter {
                guard line == "." else {
                    letter = text + (line.hasPrefix("..") ? String(line.dropFirst()) : line) + "\r\n"
                    return
                }
                let name = "\(folder)/\(UUID().uuidString).eml"
                try? Data(text.utf8).write(to: URL(filePath: name))
                letter = nil
                return say("250 taken", context)
            }
            switch line.prefix(4).uppercased() {
            case "DATA":
                letter = ""
                say("354 go on", context)
            case "QUIT":
                say("221 bye", context)
                context.close(promise: nil)
            default: say("250 ok", context)
            }
        }

        private func say(_ line: String, _ context: ChannelHandlerContext) {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: line + "\r\n")), promise: nil)
        }
    }
}

extension String {
    /// The first place of `text`.
    func range(of text: String) -> Range<String.Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) {
                return start..<(index(start, offsetBy: text.count))
            }
            start = index(after: start)
        }
        return nil
    }
}
