import ZeroMQ

/// A service tries its own doors before it serves: with a key nobody knows, and with a key that is known for
/// another role. If either gets in, it refuses to run.
enum DoorTest {
    static func run(
        _ configuration: BusConfiguration, _ context: ZeroMQContext, _ authenticator: Authenticator
    ) throws {
        let stranger = CurveKeys.generate()
        let reader = CurveKeys.generate()
        authenticator.allow([reader.publicKey: "doortest"], in: "doortest")
        for (index, (keys, who)) in [(stranger, "an unknown key"), (reader, "a reader's key")]
            .enumerated()
        {
            for (kind, endpoint) in [
                (Socket.Kind.sub, configuration.publishEndpoint),
                (.push, configuration.letterboxEndpoint),
            ] {
                let isOpen = try getsIn(
                    keys, kind, connectable(endpoint), configuration, context, "\(kind)\(index)")
                if isOpen { throw OpenDoor(endpoint: endpoint, who: who) }
            }
        }
    }

    /// Seconds to wait for a door's word. A refusal may be slow on a busy machine; only an entry is an open door.
    private static let patience = 3.0

    private static func getsIn(
        _ keys: CurveKeys, _ kind: Socket.Kind, _ endpoint: String,
        _ configuration: BusConfiguration, _ context: ZeroMQContext, _ name: String
    ) throws -> Bool {
        let socket = try Socket(
            context, kind, .client(keys, serverKey: configuration.keys.publicKey))
        let monitor = try SocketMonitor(context, socket, name: "doortest.\(configuration.name).\(name)")
        try socket.connect(endpoint)
        let waker = Waker()
        let end = ContinuousClock.now + .seconds(patience)
        while ContinuousClock.now < end {
            _ = try wait(for: [monitor.pollable], or: waker, milliseconds: 100)
            while let event = try monitor.next() {
                if event == .handshakeSucceeded { return true }
                if case .handshakeFailed = event { return false }
            }
        }
        return false
    }

    /// A door bound to every address is tried on loopback.
    private static func connectable(_ endpoint: String) -> String {
        endpoint.replacing("//0.0.0.0:", with: "//127.0.0.1:").replacing("//*:", with: "//127.0.0.1:")
    }
}

struct OpenDoor: Error, CustomStringConvertible {
    let endpoint: String
    let who: String
    var description: String {
        "the door \(endpoint) was not closed to \(who): check libzmq's CURVE and the ZAP handler"
    }
}
