import Logging
import NIOCore
import NIOPosix
import Synchronization

/// The public port of the metric topics: joins each connection with a private XPUB socket, byte for byte, so that CURVE
/// passes through untouched.
final class ConsumerPort: Sendable {
    private let host: String
    private let port: Int
    private let folder: String
    private let topics: MetricTopics
    private let log: Logger
    private let nextConsumer = Mutex(0)
    private let open = Mutex(0)

    /// Consumers at a time.
    static let limit = 200

    init(host: String, port: Int, folder: String, topics: MetricTopics, log: Logger) {
        self.host = host
        self.port = port
        self.folder = folder
        self.topics = topics
        self.log = log
    }

    func run() async throws {
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { [self] outside in join(outside) }
            .bind(host: host, port: port).get()
        await withTaskCancellationHandler {
            try? await server.closeFuture.get()
        } onCancel: {
            server.close(promise: nil)
        }
    }

    private func join(_ outside: any Channel) -> EventLoopFuture<Void> {
        let taken = open.withLock { open -> Bool in
            guard open < Self.limit else { return false }
            open += 1
            return true
        }
        guard taken else { return outside.close() }
        let consumer = nextConsumer.withLock { next -> Int in
            next += 1
            return next
        }
        let path = "\(folder)/metrics-\(consumer)"
        outside.closeFuture.whenComplete { [self] _ in
            open.withLock { $0 -= 1 }
            topics.post(.close(consumer: consumer))
        }
        let bound = outside.eventLoop.makePromise(of: Void.self)
        topics.post(
            .open(consumer: consumer, endpoint: "ipc://\(path)") { isReady in
                if isReady { bound.succeed() } else { bound.fail(ChannelError.connectPending) }
            })
        return bound.futureResult.flatMap {
            // The inside speaks first; it is read only when the outside can take it.
            ClientBootstrap(group: outside.eventLoop).channelOption(.autoRead, value: false)
                .channelInitializer { inside in
                    inside.pipeline.addHandler(Passage(to: outside))
                }.connect(unixDomainSocketPath: path)
        }.flatMap { inside in
            outside.pipeline.addHandler(Passage(to: inside))
        }
    }
}

/// Hands every byte on to the other side, and the end too. Reads no faster than the other side takes: a slow consumer
/// fills its own queue in libzmq and not this process's memory.
private final class Passage: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    private let other: any Channel

    init(to other: any Channel) { self.other = other }

    func channelActive(context: ChannelHandlerContext) { letRead(other) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        other.writeAndFlush(unwrapInboundIn(data), promise: nil)
        if !other.isWritable { _ = context.channel.setOption(.autoRead, value: false) }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { letRead(other) }
    }

    private func letRead(_ channel: any Channel) { _ = channel.setOption(.autoRead, value: true) }

    func channelInactive(context: ChannelHandlerContext) { other.close(promise: nil) }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
