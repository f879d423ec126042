import Primitives
import ZeroMQ

/// The sockets of one service, made in their final options.
final class BusSockets {
    let publisher: Socket
    let letterbox: Socket
    private(set) var subscribers: [Link] = []
    private(set) var doors: [String: Link] = [:]
    /// One per connecting socket.
    private(set) var links: [Link] = []

    /// A connection to a peer's door, and what its monitor tells of it.
    final class Link {
        let peer: String
        private(set) var socket: Socket
        private(set) var monitor: SocketMonitor
        var watch = ConnectionWatch()
        private let endpoints: [String]
        private let context: ZeroMQContext
        private let make: () throws -> Socket

        init(_ context: ZeroMQContext, _ peer: String, _ endpoints: [String], _ make: @escaping () throws -> Socket)
            throws
        {
            self.peer = peer
            self.endpoints = endpoints
            self.context = context
            self.make = make
            socket = try make()
            monitor = try SocketMonitor(context, socket, name: "link.\(ID.make())")
            for endpoint in endpoints { try socket.connect(endpoint) }
        }

        /// libzmq names an endpoint now as it was given and now by its address: only of several doors does it matter which one.
        func saw(_ event: ConnectionEvent, at endpoint: String, now: Double) {
            watch.saw(event, at: endpoints.count > 1 ? endpoint : "", now: now)
        }

        /// Connects with a new socket. One that is merely disconnected and connected again ends the process when half a message
        /// stood in it: libzmq 4.3.4, `Assertion failed: !_more (fq.cpp)`, its issues 2163 and 3485.
        ///
        /// Without a descriptor for it the old one stays, and it is tried again: others give theirs back.
        func reconnect(now: Double) throws {
            let (fresh, reporter): (Socket, SocketMonitor)
            do {
                fresh = try make()
                reporter = try SocketMonitor(context, fresh, name: "link.\(ID.make())")
                for endpoint in endpoints { try fresh.connect(endpoint) }
            } catch let error as ZeroMQError where error.isOutOfDescriptors { return watch.failed(now: now) }
            // The old monitor ends before the old socket: decision 0004.
            monitor = reporter
            socket = fresh
        }
    }

    /// Live messages that wait for one subscriber at most, of up to 64 KiB each: libzmq counts messages and not bytes, so this is
    /// what a frozen subscriber costs. What is dropped is asked for again.
    static let sendLimit: Int32 = 250
    /// Largest frame taken: an event with its encryption overhead, or a header.
    static let frameLimit: Int64 = 512 * 1024

    init(_ configuration: BusConfiguration, _ context: ZeroMQContext) throws {
        let door = Security.server(configuration.keys, domain: BusConfiguration.domain)
        publisher = try Socket(context, .xpub, door)
        try publisher.setSendLimit(Self.sendLimit)
        try publisher.setMessageLimit(Self.frameLimit)
        try publisher.setManualSubscriptions()
        letterbox = try Socket(context, .pull, door)
        try letterbox.setMessageLimit(Self.frameLimit)
        try publisher.bind(configuration.publishEndpoint)
        try letterbox.bind(configuration.letterboxEndpoint)
        for peer in configuration.peers {
            let key = Security.client(configuration.keys, serverKey: peer.publicKey)
            if configuration.subscribed.contains(peer.name) {
                subscribers.append(
                    try Link(context, peer.name, peer.publishEndpoints) {
                        let subscriber = try Socket(context, .sub, key)
                        try subscriber.setMessageLimit(Self.frameLimit)
                        for lane in Lane.allCases {
                            try subscriber.subscribe(Wire.topic(stream: peer.name, lane: lane))
                        }
                        return subscriber
                    })
            }
            doors[peer.name] = try Link(context, peer.name, peer.letterboxEndpoints) {
                let sender = try Socket(context, .push, key)
                try sender.setImmediate()
                try sender.setSendTimeout(milliseconds: 0)
                try sender.setSendLimit(100)
                return sender
            }
        }
        links = subscribers + doors.values
    }

    /// What the thread waits for: the doors, then each subscription, then each link's monitor.
    var readable: [Socket] {
        [publisher, letterbox] + subscribers.map(\.socket) + links.map(\.monitor.pollable)
    }

    /// Makes every connection to a peer anew.
    func reconnect(_ peer: String, now: Double) throws {
        for link in links where link.peer == peer { try link.reconnect(now: now) }
    }
}
