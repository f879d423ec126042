import Contracts
import Glibc
import Logging
import Primitives
import Synchronization
import ZeroMQ

/// The one thread that owns a service's bus sockets. It never waits for the database: what comes in is
/// handed to bounded queues, what goes out is taken from a list, and beacons are said in between.
final class BusThread: Sendable {
    enum Command: Sendable {
        /// Frames for every subscriber.
        case publish([[UInt8]])
        case letter(to: String, [[UInt8]])
        /// The connections to a peer seem dead.
        case reconnect(peer: String)
        /// Keys have changed: every door and connection is made anew.
        case rekey(KeyRing)
        /// A burst is over: say where we stand, now.
        case beacon
        case stop
    }

    private let configuration: BusConfiguration
    private let log: Logger
    private let commands = Mutex<[Command]>([])
    private let waker = Waker()
    private let counters = Mutex(BusCounters())
    private let start = ContinuousClock.now
    private let heads: @Sendable () -> [StreamHead]
    private let deliver: @Sendable (Inbound, _ from: String) -> Void
    private let beat: @Sendable () -> Void

    /// Commands waiting at most; live frames beyond it are dropped, the log has them.
    static let commandLimit = 10_000
    /// Messages of one peer that are read in a round, of all that have come. What is beyond it is dropped unread and asked for
    /// again: libzmq's queue has no limit (``Socket``), so whoever writes faster than we read must not fill our memory.
    static let peerLimit = 512
    /// Messages that are taken off one socket in a round.
    static let roundLimit = 20_000
    static let beaconPause = 1.0
    /// Seconds after a burst until the beacon that reveals a lost end of it.
    static let burstPause = 0.05

    init(
        _ configuration: BusConfiguration, log: Logger,
        heads: @escaping @Sendable () -> [StreamHead],
        deliver: @escaping @Sendable (Inbound, _ from: String) -> Void, beat: @escaping @Sendable () -> Void
    ) {
        self.configuration = configuration
        self.log = log
        self.heads = heads
        self.deliver = deliver
        self.beat = beat
    }

    func post(_ command: Command) {
        let canBeLost =
            switch command {
            case .publish, .letter, .beacon: true
            case .reconnect, .rekey, .stop: false
            }
        let taken = commands.withLock { commands -> Bool in
            guard !canBeLost || commands.count < Self.commandLimit else { return false }
            commands.append(command)
            return true
        }
        if !taken { counters.withLock { $0.droppedOut += 1 } }
        waker.poke()
    }

    var counts: BusCounters { counters.withLock { $0 } }

    /// Binds the doors and starts the thread.
    ///
    /// - Throws: when a door cannot be bound, or a key that has no business here gets in.
    func start(_ context: ZeroMQContext, _ authenticator: Authenticator) throws {
        authenticator.allow(configuration.peerNames, in: BusConfiguration.domain)
        let sockets = try BusSockets(configuration, context)
        try DoorTest.run(configuration, context, authenticator)
        startThread("bus", with: sockets) { [self] (sockets: consuming BusSockets) in
            var open: BusSockets? = sockets
            do {
                var ring = configuration.ring
                while let current = open, let next = try loop(current, ring) {
                    ring = next
                    open = nil
                    open = try reopen(ring, context, authenticator)
                }
            } catch {
                // Without its bus it must not keep the lead: it is started again, or another instance leads.
                log.critical("the bus thread ended; the process ends", metadata: ["reason": "\(error)"])
                _exit(70)
            }
        }
    }

    /// Doors and connections anew, with other keys. libzmq closes the old doors in its own time, and the end of an ipc door
    /// removes its file: the new one must not be there before.
    private func reopen(
        _ ring: KeyRing, _ context: ZeroMQContext, _ authenticator: Authenticator
    ) throws -> BusSockets {
        var fresh = configuration
        fresh.ring = ring
        authenticator.allow(fresh.peerNames, in: BusConfiguration.domain)
        var attempts = 0
        while true {
            usleep(50_000)
            attempts += 1
            let isInUse = fresh.doorFiles.contains { access($0, F_OK) == 0 }
            if isInUse, attempts < 40 { continue }
            do { return try BusSockets(fresh, context) } catch let error as ZeroMQError {
                guard attempts < 100 else { throw error }
            }
        }
    }

    /// Runs until it is stopped, or until its sockets are to be made anew, with other keys or the same.
    private func loop(_ sockets: BusSockets, _ ring: KeyRing) throws -> KeyRing? {
        var beaconIsDue = false
        var nextBeacon = ContinuousClock.now
        while true {
            let patience = beaconIsDue ? Int(Self.burstPause * 1000) : 200
            let ready = try wait(for: sockets.readable, or: waker, milliseconds: patience)
            let pending = commands.withLock { commands -> [Command] in
                defer { commands = [] }
                return commands
            }
            let wasDue = beaconIsDue
            for (index, command) in pending.enumerated() {
                if case .stop = command { return nil }
                if case .rekey(let ring) = command {
                    let rest = pending[(index + 1)...]
                    commands.withLock { $0.insert(contentsOf: rest, at: 0) }
                    return ring
                }
                if case .beacon = command { beaconIsDue = true } else { try perform(command, sockets) }
            }
            if ready[0] { try grant(sockets.publisher) }
            if ready[1] { try receive(sockets.letterbox, Wire.readLetter) }
            for (index, subscriber) in sockets.subscribers.enumerated() where ready[2 + index] {
                try receive(subscriber.socket, from: subscriber.peer) { frames, _ in
                    Wire.readLive(frames)
                }
            }
            let links = ready.suffix(sockets.links.count)
            for (link, hasNews) in zip(sockets.links, links) { try watch(link, hasNews) }
            if beaconIsDue, !wasDue { nextBeacon = min(nextBeacon, .now + .seconds(Self.burstPause)) }
            if ContinuousClock.now >= nextBeacon {
                nextBeacon = .now + .seconds(Self.beaconPause)
                beaconIsDue = false
                // A predecessor's end may have taken our ipc doors' files with it: nobody new would find us.
                if configuration.doorFiles.contains(where: { access($0, F_OK) != 0 }) { return ring }
                try sayBeacons(sockets)
                beat()
            }
        }
    }

    /// A connection that libzmq has given up is made again.
    private func watch(_ link: BusSockets.Link, _ hasNews: Bool) throws {
        let now = start.duration(to: .now).seconds
        if hasNews {
            while let (event, endpoint) = try link.monitor.next() { link.saw(event, at: endpoint, now: now) }
        }
        guard let reason = link.watch.reasonToReconnect(now: now) else { return }
        counters.withLock {
            $0.reconnects += 1
            $0.lastReconnect = "\(link.peer): \(reason)"
        }
        try link.reconnect(now: now)
    }

    private func perform(_ command: Command, _ sockets: BusSockets) throws {
        switch command {
        case .publish(let frames): _ = try sockets.publisher.send(frames)
        case .letter(let peer, let frames):
            guard let door = sockets.doors[peer] else { return }
            if try !door.socket.send(frames) { counters.withLock { $0.lettersRefused += 1 } }
        case .reconnect(let peer):
            counters.withLock {
                $0.reconnects += 1
                $0.lastReconnect = "\(peer): silent, or its answers do not come"
            }
            try sockets.reconnect(peer, now: start.duration(to: .now).seconds)
        case .beacon, .stop, .rekey: break
        }
    }

    /// A stream's beacon goes to its subscribers; a command stream's to its one target's letterbox.
    private func sayBeacons(_ sockets: BusSockets) throws {
        for head in heads() {
            if head.stream.hasPrefix("cmd.") {
                let target = String(head.stream.dropFirst(4))
                let beacon = head.beacon(state: "ready", from: configuration.name)
                try perform(.letter(to: target, Wire.letter("BCN", beacon)), sockets)
            } else {
                _ = try sockets.publisher.send(Wire.live(head.beacon(state: "ready")))
            }
        }
    }

    /// Grants a peer the facts of this service and nothing else.
    private func grant(_ publisher: Socket) throws {
        while let message = try publisher.receive() {
            guard let frame = message.frames.first, let verb = frame.first else { continue }
            let prefix = Array(frame.dropFirst())
            guard verb == 1 else {
                try publisher.withdraw(prefix)
                continue
            }
            // Exactly a lane's topic: each granted prefix costs memory.
            let topic = String(decoding: prefix, as: UTF8.self)
            let isOurs = Lane.allCases.contains { Wire.topic(stream: configuration.name, lane: $0) == topic }
            if message.peer != nil, isOurs {
                try publisher.grant(prefix)
            } else {
                counters.withLock { $0.subscriptionsRefused += 1 }
            }
        }
    }

    /// - Parameter publisher: whose SUB this is; a letter's sender is told by its key.
    private func receive(
        _ socket: Socket, from publisher: String? = nil, _ read: ([[UInt8]], String?) -> Inbound?
    ) throws {
        var taken: [String?: Int] = [:]
        // Bounded, so that beacons and commands have their turn in a flood.
        for _ in 0..<Self.roundLimit {
            guard let message = try socket.receive() else { return }
            taken[message.peer, default: 0] += 1
            guard taken[message.peer, default: 0] <= Self.peerLimit else {
                counters.withLock { $0.flooded += 1 }
                continue
            }
            guard let inbound = read(message.frames, message.peer) else {
                counters.withLock { $0.unreadable += 1 }
                continue
            }
            deliver(inbound, publisher ?? message.peer ?? "")
        }
    }
}

/// What the sockets' thread counted since its start.
public struct BusCounters: Codable, Sendable {
    public var droppedOut = 0
    public var lettersRefused = 0
    public var subscriptionsRefused = 0
    public var unreadable = 0
    /// Messages dropped unread, because their sender had written too many at once.
    public var flooded = 0
    public var reconnects = 0
    /// The peer that was connected again last, and why.
    public var lastReconnect: String?
}
