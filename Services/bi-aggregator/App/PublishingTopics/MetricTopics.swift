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
        /// Which keys may read, and with which key of ours: others are cut off.
        case allowed(Set<String>, serverKey: String?)
    }

    /// Figures that a new subscriber is told at most, the totals and the newest periods first; older ones are read over HTTP. It is
    /// half of what may wait for a consumer.
    static let presentLimit = 50_000
    /// Seconds between attempts to read them.
    private static let pause = 1.0

    private let context: ZeroMQContext
    private let security: @Sendable () throws -> Security
    private let log: Logger
    private let commands = Mutex<[Command]>([])
    private let waker = Waker()
    private let presentValues: @Sendable (_ prefix: String) async throws -> [Cell]

    init(
        _ context: ZeroMQContext, security: @escaping @Sendable () throws -> Security, log: Logger,
        presentValues: @escaping @Sendable (_ prefix: String) async throws -> [Cell]
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
        /// The key that let him in; nil until he has subscribed, and where no key is asked for.
        var reader: String?
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
        var known: String?
        while true {
            let order = consumers.keys.sorted()
            let ready = try wait(for: order.compactMap { consumers[$0]?.socket }, or: waker, milliseconds: 1000)
            for (index, consumer) in order.enumerated() where ready[index] {
                if var one = consumers[consumer] {
                    try readSubscriptions(&one, consumer)
                    consumers[consumer] = one
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
                        let socket = try Socket(context, .xpub, security())
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
                case .allowed(let readers, let serverKey):
                    let isNew = known != nil && serverKey != nil && known != serverKey
                    known = serverKey ?? known
                    consumers = consumers.filter { _, one in !isNew && one.reader.map { readers.contains($0) } ?? true }
                }
            }
        }
    }

    private static func frames(_ cell: Cell) throws -> [[UInt8]] {
        [Array(cell.topic.utf8), Array(try JSON.encode(cell))]
    }

    /// Asks for the present values of each new subscription.
    private func readSubscriptions(_ consumer: inout Consumer, _ number: Int) throws {
        while let message = try consumer.socket.receive() {
            consumer.reader = message.peer?.nonEmpty ?? consumer.reader
            guard let frame = message.frames.first, frame.first == 1 else { continue }
            let prefix = String(decoding: frame.dropFirst(), as: UTF8.self)
            Task { await present(prefix, to: number) }
            consumer.asked += 1
        }
    }

    /// Reads until it succeeds: what does not move would else never be told to him.
    private func present(_ prefix: String, to consumer: Int) async {
        while true {
            do { return post(.present(consumer: consumer, try await presentValues(prefix))) } catch {
                log.warning(
                    "present figures could not be read", metadata: ["topic": "\(prefix)", "reason": "\(error)"])
                try? await Task.sleep(for: .seconds(Self.pause))
            }
        }
    }
}

/// A place for the topics that handlers made earlier post to.
final class TopicsSlot: Sendable {
    private let value = Mutex<MetricTopics?>(nil)
    var topics: MetricTopics? { value.withLock { $0 } }
    func set(_ topics: MetricTopics) { value.withLock { $0 = topics } }
}
