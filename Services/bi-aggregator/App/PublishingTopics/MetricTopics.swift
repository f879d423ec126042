import Contracts
import Logging
import Postgres
import Primitives
import Synchronization
import ZeroMQ

/// The metric topics on their public port. Every consumer has an XPUB socket of its own behind the port: libzmq offers
/// no way to say something to one subscriber of a shared socket, and the present values are for the newcomer alone.
final class MetricTopics: Sendable {
    enum Command: Sendable {
        case open(consumer: Int, endpoint: String, ready: @Sendable (Bool) -> Void)
        case close(consumer: Int)
        case changed([Cell])
        case present(consumer: Int, [Cell])
    }

    private let context: ZeroMQContext
    private let security: Security
    private let log: Logger
    private let commands = Mutex<[Command]>([])
    private let waker = Waker()
    private let presentValues: @Sendable (_ prefix: String) async -> [Cell]

    init(
        _ context: ZeroMQContext, security: Security, log: Logger,
        presentValues: @escaping @Sendable (_ prefix: String) async -> [Cell]
    ) {
        self.context = context
        self.security = security
        self.log = log
        self.presentValues = presentValues
    }

    func post(_ command: Command) {
        commands.withLock { $0.append(command) }
        waker.poke()
    }

    func start() {
        startThread("metric-topics", with: ()) { [self] in
            do { try loop() } catch {
                log.critical("metric topics ended", metadata: ["reason": "\(error)"])
            }
        }
    }

    /// A consumer's socket. While present values are being read for him, changes wait, so that what he hears of a figure
    /// never goes back.
    private struct Consumer {
        let socket: Socket
        var asked = 0
        var held: [Cell] = []
        /// Revisions of the present values that he was given while changes waited.
        var given: [String: Int64] = [:]

        mutating func present(_ cells: [Cell]) throws {
            for cell in cells {
                given[cell.identity] = max(cell.revision, given[cell.identity] ?? 0)
                _ = try socket.send(MetricTopics.frames(cell))
            }
            asked -= 1
            guard asked == 0 else { return }
            for cell in held where cell.revision > given[cell.identity] ?? 0 {
                _ = try socket.send(MetricTopics.frames(cell))
            }
            (held, given) = ([], [:])
        }
    }

    private func loop() throws {
        var consumers: [Int: Consumer] = [:]
        while true {
            let order = consumers.keys.sorted()
            let ready = try wait(for: order.compactMap { consumers[$0]?.socket }, or: waker, milliseconds: 1000)
            for (index, consumer) in order.enumerated() where ready[index] {
                if let socket = consumers[consumer]?.socket {
                    consumers[consumer]?.asked += try readSubscriptions(socket, consumer)
                }
            }
            let pending = commands.withLock { commands -> [Command] in
                defer { commands = [] }
                return commands
            }
            for command in pending {
                switch command {
                case .open(let consumer, let endpoint, let ready):
                    do {
                        let socket = try Socket(context, .xpub, security)
                        try socket.setSendLimit(100_000)
                        try socket.bind(endpoint)
                        consumers[consumer] = Consumer(socket: socket)
                        ready(true)
                    } catch {
                        log.warning("a consumer was refused", metadata: ["reason": "\(error)"])
                        ready(false)
                    }
                case .close(let consumer): consumers[consumer] = nil
                case .changed(let cells) where !consumers.isEmpty:
                    let messages = try cells.map(Self.frames)
                    for (number, consumer) in consumers {
                        if consumer.asked > 0 {
                            consumers[number]?.held += cells
                        } else {
                            for frames in messages { _ = try consumer.socket.send(frames) }
                        }
                    }
                case .changed: break
                case .present(let consumer, let cells): try consumers[consumer]?.present(cells)
                }
            }
        }
    }

    private static func frames(_ cell: Cell) throws -> [[UInt8]] {
        [Array(cell.topic.utf8), Array(try JSON.encode(cell))]
    }

    /// Asks for the present values of each new subscription; how many.
    private func readSubscriptions(_ socket: Socket, _ consumer: Int) throws -> Int {
        var asked = 0
        while let message = try socket.receive() {
            guard let frame = message.frames.first, frame.first == 1 else { continue }
            let prefix = String(decoding: frame.dropFirst(), as: UTF8.self)
            let presentValues = self.presentValues
            Task {
                let cells = await presentValues(prefix)
                self.post(.present(consumer: consumer, cells))
            }
            asked += 1
        }
        return asked
    }
}

/// A place for the topics that handlers made earlier post to.
final class TopicsSlot: Sendable {
    private let value = Mutex<MetricTopics?>(nil)
    var topics: MetricTopics? { value.withLock { $0 } }
    func set(_ topics: MetricTopics) { value.withLock { $0 = topics } }
}
