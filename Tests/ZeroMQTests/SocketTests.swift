import Foundation
import Testing

@testable import ZeroMQ

/// One context per process: two with CURVE may crash at exit (reference messaging 28).
private let context = ZeroMQContext()

/// A place for one test's socket.
private func place() -> String { "ipc:///tmp/throughline-test-\(UUID().uuidString.prefix(8))" }

/// Waits for a message; nil when none came in time.
private func receive(_ socket: Socket, seconds: Double = 5) throws -> Message? {
    let waker = Waker()
    let end = ContinuousClock.now + .seconds(seconds)
    while ContinuousClock.now < end {
        if try wait(for: [socket], or: waker, milliseconds: 50)[0], let message = try socket.receive() {
            return message
        }
    }
    return nil
}

/// Sends; false when nobody has taken it in time.
private func deliver(_ socket: Socket, _ text: String, seconds: Double = 5) throws -> Bool {
    try socket.setSendTimeout(milliseconds: Int32(seconds * 1000))
    do { try socket.sendBlocking([Array(text.utf8)]) } catch let error as ZeroMQError where error.code == EAGAIN {
        return false
    }
    return true
}

/// What libzmq 4.3.4 does that one would not expect: each trap that concerns us (reference messaging 1–42).
@Suite(.serialized) struct SocketTests {
    /// The process's one ZAP handler, made before any server socket.
    private static let authenticator = Result { try Authenticator(context) }

    private func pull(_ keys: CurveKeys, _ domain: String, _ endpoint: String) throws -> Socket {
        let socket = try Socket(context, .pull, .server(keys, domain: domain))
        try socket.setMessageLimit(1000)
        try socket.bind(endpoint)
        return socket
    }

    private func push(_ keys: CurveKeys, to server: CurveKeys, _ endpoint: String) throws -> Socket {
        let socket = try Socket(context, .push, .client(keys, serverKey: server.publicKey))
        try socket.setImmediate()
        try socket.setSendTimeout(milliseconds: 0)
        try socket.connect(endpoint)
        return socket
    }

    @Test func aKnownKeyGetsInUnderItsOwnersName() throws {
        let (server, friend, endpoint) = (CurveKeys.generate(), CurveKeys.generate(), place())
        try Self.authenticator.get().allow([friend.publicKey: "friend"], in: "known")
        let door = try pull(server, "known", endpoint)
        let sender = try push(friend, to: server, endpoint)
        #expect(try deliver(sender, "hello"))
        let message = try #require(try receive(door))
        #expect(message.peer == "friend" && message.frames == [Array("hello".utf8)])
    }

    @Test func anUnknownKeyAndAKeyOfAnotherDomainStayOutside() throws {
        let (server, stranger, endpoint) = (CurveKeys.generate(), CurveKeys.generate(), place())
        let authenticator = try Self.authenticator.get()
        authenticator.allow([:], in: "closed")
        authenticator.allow([stranger.publicKey: "stranger"], in: "elsewhere")
        let door = try pull(server, "closed", endpoint)
        let sender = try push(stranger, to: server, endpoint)
        #expect(try !deliver(sender, "hello", seconds: 1))
        #expect(try receive(door, seconds: 0.2) == nil)
        #expect(authenticator.refusals["closed"] ?? 0 > 0)
    }

    @Test func aDomainNobodySpeaksForLetsNobodyIn() throws {
        let (server, anybody, endpoint) = (CurveKeys.generate(), CurveKeys.generate(), place())
        let door = try pull(server, "never allowed", endpoint)
        let sender = try push(anybody, to: server, endpoint)
        #expect(try !deliver(sender, "hello", seconds: 1))
        #expect(try receive(door, seconds: 0.2) == nil)
    }

    @Test func aMonitorThatEndsBeforeItsSocketStopsNothing() throws {
        let (server, friend, endpoint) = (CurveKeys.generate(), CurveKeys.generate(), place())
        try Self.authenticator.get().allow([friend.publicKey: "friend"], in: "monitored")
        let door = try pull(server, "monitored", endpoint)
        for number in 0..<30 {
            let socket = try Socket(
                context, .push, .client(CurveKeys.generate(), serverKey: server.publicKey))
            _ = try SocketMonitor(context, socket, name: "ended.\(number)")
            try socket.connect(endpoint)
        }
        // The I/O thread, which all sockets share, would wait for the monitors' readers for ever.
        let sender = try push(friend, to: server, endpoint)
        #expect(try deliver(sender, "still alive"))
        #expect(try receive(door)?.peer == "friend")
    }

    @Test func aMonitorTellsOfARefusalAndOfAnEnd() throws {
        let (server, stranger, endpoint) = (CurveKeys.generate(), CurveKeys.generate(), place())
        try Self.authenticator.get().allow([:], in: "told")
        let door = try pull(server, "told", endpoint)
        let socket = try Socket(context, .push, .client(stranger, serverKey: server.publicKey))
        let monitor = try SocketMonitor(context, socket, name: "told")
        try socket.connect(endpoint)
        var events: [ConnectionEvent] = []
        let end = ContinuousClock.now + .seconds(5)
        while ContinuousClock.now < end,
            !events.contains(where: { if case .handshakeFailed = $0 { true } else { false } })
        {
            _ = try wait(for: [monitor.pollable], or: Waker(), milliseconds: 50)
            while let (event, _) = try monitor.next() { events.append(event) }
        }
        #expect(events.contains { if case .handshakeFailed = $0 { true } else { false } }, "\(events)")
        withExtendedLifetime(door) {}
    }

    @Test func aMessageOverTheLimitEndsAConnectingSocketUntilItIsConnectedAgain() throws {
        let endpoint = place()
        let publisher = try Socket(context, .xpub)
        try publisher.bind(endpoint)
        let subscriber = try Socket(context, .sub)
        try subscriber.setMessageLimit(1000)
        try subscriber.subscribe("")
        try subscriber.connect(endpoint)
        _ = try receive(publisher)  // the subscription has arrived
        #expect(try publisher.send([[UInt8](repeating: 1, count: 5000)]))
        #expect(try receive(subscriber, seconds: 0.5) == nil)
        #expect(try publisher.send([[2]]))
        #expect(try receive(subscriber, seconds: 0.5) == nil, "libzmq does not try again by itself")
        subscriber.disconnect(endpoint)
        try subscriber.connect(endpoint)
        // First the end of the old subscription is told, then the new one.
        while try #require(try receive(publisher)).frames[0].first != 1 {}
        #expect(try publisher.send([[3]]))
        #expect(try receive(subscriber)?.frames == [[3]])
    }

    @Test func aPushWithoutAPeerSaysSoAtOnce() throws {
        let socket = try Socket(context, .push)
        try socket.setImmediate()
        try socket.setSendTimeout(milliseconds: 0)
        try socket.connect(place())
        #expect(try socket.send([[1]]) == false)
    }

    @Test func aSubscriptionThatIsNotGrantedGetsNothing() throws {
        let endpoint = place()
        let publisher = try Socket(context, .xpub)
        try publisher.setManualSubscriptions()
        try publisher.bind(endpoint)
        let subscriber = try Socket(context, .sub)
        try subscriber.subscribe("money.")
        try subscriber.subscribe("crm.")
        try subscriber.connect(endpoint)
        for _ in 0..<2 {
            let request = try #require(try receive(publisher)).frames[0]
            if request == [1] + Array("crm.".utf8) { try publisher.grant(Array("crm.".utf8)) }
        }
        #expect(try publisher.send([Array("money.x".utf8)]))
        #expect(try publisher.send([Array("crm.y".utf8)]))
        #expect(try receive(subscriber)?.frames == [Array("crm.y".utf8)])
        #expect(try receive(subscriber, seconds: 0.2) == nil)
    }

    @Test func aMessageOfManyFramesComesWhole() throws {
        let endpoint = place()
        let pull = try Socket(context, .pull)
        try pull.bind(endpoint)
        let push = try Socket(context, .push)
        try push.connect(endpoint)
        let frames = (0..<66).map { [UInt8](repeating: UInt8($0), count: $0) }
        #expect(try push.send(frames))
        #expect(try receive(pull)?.frames == frames)
    }

    @Test func aPokeBeforeTheWaitIsNotLost() throws {
        let socket = try Socket(context, .pull)
        try socket.bind(place())
        let waker = Waker()
        waker.poke()
        let start = ContinuousClock.now
        #expect(try wait(for: [socket], or: waker, milliseconds: 5000) == [false])
        #expect(ContinuousClock.now - start < .seconds(2))
    }

    @Test func keysAreReadBackFromTheirSecret() {
        let keys = CurveKeys.generate()
        #expect(CurveKeys(secretKey: keys.secretKey)?.publicKey == keys.publicKey)
        #expect(CurveKeys(secretKey: "short") == nil)
    }
}
