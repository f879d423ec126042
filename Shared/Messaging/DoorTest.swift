import Primitives
import ZeroMQ

/// A service tries its own doors before it serves: with a key nobody knows, and with a key that is known for
/// another role. If either gets in, it refuses to run.
public enum DoorTest {
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
                let isOpen =
                    try enter(
                        connectable(endpoint), kind, configuration.keys.publicKey, with: keys, context,
                        name: "\(configuration.name).\(kind)\(index)") == true
                if isOpen { throw OpenDoor(endpoint: endpoint, who: who) }
            }
        }
    }

    /// Seconds to wait for a door's word. A refusal may be slow on a busy machine; only an entry is an open door.
    private static let patience = 3.0

    /// Whether a stranger is turned away at a service's two doors; nil when nobody answers there.
    public static func turnsStrangersAway(
        publishEndpoint: String, letterboxEndpoint: String, serverKey: String, _ context: ZeroMQContext
    ) throws -> Bool? {
        for (kind, endpoint) in [(Socket.Kind.sub, publishEndpoint), (.push, letterboxEndpoint)] {
            let name = "stranger.\(kind).\(ID.make())"
            guard let entered = try enter(endpoint, kind, serverKey, with: .generate(), context, name: name) else {
                return nil
            }
            if entered { return false }
        }
        return true
    }

    /// Whether a handshake with these keys succeeds; nil when there is none in time.
    private static func enter(
        _ endpoint: String, _ kind: Socket.Kind, _ serverKey: String, with keys: CurveKeys, _ context: ZeroMQContext,
        name: String
    ) throws -> Bool? {
        let socket = try Socket(context, kind, .client(keys, serverKey: serverKey))
        let monitor = try SocketMonitor(context, socket, name: "doortest.\(name)")
        try socket.connect(endpoint)
        let waker = Waker()
        let end = ContinuousClock.now + .seconds(patience)
        while ContinuousClock.now < end {
            _ = try wait(for: [monitor.pollable], or: waker, milliseconds: 100)
            while let (event, _) = try monitor.next() {
                if event == .handshakeSucceeded { return true }
                if case .handshakeFailed = event { return false }
            }
        }
        return nil
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
