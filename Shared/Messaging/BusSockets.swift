import Primitives
import ZeroMQ

/// The sockets of one service, made in their final options.
final class BusSockets {
    let publisher: Socket
    let letterbox: Socket
    private(set) var subscribers: [(peer: BusPeer, socket: Socket)] = []
    private(set) var doors: [String: Socket] = [:]
    /// One per connecting socket.
    private(set) var links: [Link] = []
    private let configuration: BusConfiguration

    /// A connection to a peer's door, and what its monitor tells of it.
    final class Link {
        let peer: String
        let endpoints: [String]
        let socket: Socket
        let monitor: SocketMonitor
        var watch = ConnectionWatch()

        init(_ context: ZeroMQContext, _ owner: String, _ peer: String, _ socket: Socket, _ endpoints: [String])
            throws
        {
            self.peer = peer
            self.endpoints = endpoints
            self.socket = socket
            monitor = try SocketMonitor(context, socket, name: "\(owner).\(socket.kind).\(peer).\(ID.make())")
            for endpoint in endpoints { try socket.connect(endpoint) }
        }

        func reconnect() throws {
            for endpoint in endpoints {
                socket.disconnect(endpoint)
                try socket.connect(endpoint)
            }
        }
    }

    /// Largest frame taken: an event with its encryption overhead, or a header.
    static let frameLimit: Int64 = 512 * 1024

    init(_ configuration: BusConfiguration, _ context: ZeroMQContext) throws {
        self.configuration = configuration
        let door = Security.server(configuration.keys, domain: BusConfiguration.domain)
        publisher = try Socket(context, .xpub, door)
        try publisher.setSendLimit(10_000)
        try publisher.setMessageLimit(Self.frameLimit)
        try publisher.setManualSubscriptions()
        letterbox = try Socket(context, .pull, door)
        // Never full: a stopped input can abort the process when the peer uses heartbeats (reference 16).
        try letterbox.setReceiveLimit(0)
        try letterbox.setMessageLimit(Self.frameLimit)
        try publisher.bind(configuration.publishEndpoint)
        try letterbox.bind(configuration.letterboxEndpoint)
        for peer in configuration.peers {
            let key = Security.client(configuration.keys, serverKey: peer.publicKey)
            if configuration.subscribed.contains(peer.name) {
                let subscriber = try Socket(context, .sub, key)
                try subscriber.setReceiveLimit(0)
                try subscriber.setMessageLimit(Self.frameLimit)
                for lane in Lane.allCases { try subscriber.subscribe(Wire.topic(stream: peer.name, lane: lane)) }
                links.append(
                    try Link(context, configuration.name, peer.name, subscriber, peer.publishEndpoints))
                subscribers.append((peer, subscriber))
            }
            let sender = try Socket(context, .push, key)
            try sender.setImmediate()
            try sender.setSendTimeout(milliseconds: 0)
            try sender.setSendLimit(100)
            links.append(try Link(context, configuration.name, peer.name, sender, peer.letterboxEndpoints))
            doors[peer.name] = sender
        }
    }

    /// What the thread waits for: the doors, then each subscription, then each link's monitor.
    var readable: [Socket] {
        [publisher, letterbox] + subscribers.map(\.socket) + links.map(\.monitor.pollable)
    }

    /// Makes every connection to a peer anew.
    func reconnect(_ peer: String) throws {
        for link in links where link.peer == peer { try link.reconnect() }
    }
}
