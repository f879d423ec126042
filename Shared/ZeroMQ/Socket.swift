internal import CZeroMQ
import Glibc

/// A message: its frames, and who sent it by the authenticated key (nil without CURVE).
public struct Message: Sendable {
    public let frames: [[UInt8]]
    public let peer: String?
}

/// One libzmq socket. Not `Sendable`: it belongs to the thread that made it.
///
/// Options with traps are set here for all: LINGER 0 (the log is durable; -1 hangs the exit), keepalive and
/// MAXRT (half-open links), growing reconnect pauses, a short handshake, no limit of what waits after receipt. `ZMQ_HEARTBEAT_*` is never set: in
/// 4.3.4 it aborts processes (reference messaging 15, 16).
public final class Socket {
    public enum Kind: Sendable { case xpub, sub, push, pull, rep, pair, pub, xsub }

    let pointer: UnsafeMutableRawPointer
    public let kind: Kind

    public init(_ context: ZeroMQContext, _ kind: Kind, _ security: Security = .plain) throws {
        let type: Int32 =
            switch kind {
            case .xpub: ZMQ_XPUB
            case .sub: ZMQ_SUB
            case .push: ZMQ_PUSH
            case .pull: ZMQ_PULL
            case .rep: ZMQ_REP
            case .pair: ZMQ_PAIR
            case .pub: ZMQ_PUB
            case .xsub: ZMQ_XSUB
            }
        guard let opened = zmq_socket(context.pointer, type) else {
            throw ZeroMQError.last("open a \(kind) socket")
        }
        pointer = opened
        self.kind = kind
        try set(ZMQ_LINGER, 0)
        // Without a limit the input never stops. A stopped input whose peer dies ends the process when that peer's
        // heartbeats stand behind it: `Assertion failed: !_io_error`, 4.3.4 (reference messaging 16).
        try set(ZMQ_RCVHWM, 0)
        guard kind != .pair, kind != .rep else { return }
        try set(ZMQ_TCP_KEEPALIVE, 1)
        try set(ZMQ_TCP_KEEPALIVE_IDLE, 10)
        try set(ZMQ_TCP_KEEPALIVE_INTVL, 3)
        try set(ZMQ_TCP_KEEPALIVE_CNT, 3)
        try set(ZMQ_TCP_MAXRT, 15_000)
        try set(ZMQ_HANDSHAKE_IVL, 3000)
        try set(ZMQ_RECONNECT_IVL, 100)
        try set(ZMQ_RECONNECT_IVL_MAX, 5000)
        try secure(security)
    }

    deinit { zmq_close(pointer) }

    private func secure(_ security: Security) throws {
        switch security {
        case .plain: break
        case .server(let keys, let domain):
            // Fails closed: without an authenticator for the domain nobody gets in (reference 36).
            precondition(!domain.isEmpty, "an empty ZAP domain would let everyone in")
            try set(ZMQ_CURVE_SERVER, 1)
            try set(ZMQ_CURVE_SECRETKEY, keys.secretKey)
            try set(ZMQ_ZAP_DOMAIN, domain)
            try set(THROUGHLINE_ZMQ_ZAP_ENFORCE_DOMAIN, 1)
        case .client(let keys, let serverKey):
            try set(ZMQ_CURVE_SERVERKEY, serverKey)
            try set(ZMQ_CURVE_PUBLICKEY, keys.publicKey)
            try set(ZMQ_CURVE_SECRETKEY, keys.secretKey)
        }
    }

    /// Messages queued for sending per peer; 0 is no limit. Set before bind or connect.
    public func setSendLimit(_ messages: Int32) throws { try set(ZMQ_SNDHWM, messages) }
    /// Largest frame taken, in bytes. A connecting socket that gets a larger one is dead for good and
    /// must be connected again (reference 20).
    public func setMessageLimit(_ bytes: Int64) throws {
        var value = bytes
        guard zmq_setsockopt(pointer, ZMQ_MAXMSGSIZE, &value, MemoryLayout<Int64>.size) == 0 else {
            throw ZeroMQError.last("limit the message size")
        }
    }
    /// Queues to live connections only, instead of to peers that never were.
    public func setImmediate() throws { try set(ZMQ_IMMEDIATE, 1) }
    /// Subscriptions arrive as messages and are granted one by one with ``grant(_:)``.
    public func setManualSubscriptions() throws { try set(ZMQ_XPUB_MANUAL, 1) }
    public func setSendTimeout(milliseconds: Int32) throws { try set(ZMQ_SNDTIMEO, milliseconds) }
    public func setReceiveTimeout(milliseconds: Int32) throws { try set(ZMQ_RCVTIMEO, milliseconds) }

    /// Grants the subscription that was received last to the peer who sent it.
    public func grant(_ prefix: [UInt8]) throws { try set(ZMQ_SUBSCRIBE, prefix) }
    /// Takes back what ``grant(_:)`` gave the peer whose message was received last.
    public func withdraw(_ prefix: [UInt8]) throws { try set(ZMQ_UNSUBSCRIBE, prefix) }
    public func subscribe(_ prefix: String) throws { try set(ZMQ_SUBSCRIBE, Array(prefix.utf8)) }

    public func bind(_ endpoint: String) throws {
        guard zmq_bind(pointer, endpoint) == 0 else { throw ZeroMQError.last("bind \(endpoint)") }
    }
    public func unbind(_ endpoint: String) { zmq_unbind(pointer, endpoint) }
    public func connect(_ endpoint: String) throws {
        guard zmq_connect(pointer, endpoint) == 0 else {
            throw ZeroMQError.last("connect \(endpoint)")
        }
    }
    /// Also fine when there is no such connection any more.
    public func disconnect(_ endpoint: String) { zmq_disconnect(pointer, endpoint) }

    /// The endpoint really bound, with the port that the system chose for `*`.
    public func boundEndpoint() -> String {
        var buffer = [CChar](repeating: 0, count: 256)
        var length = buffer.count
        zmq_getsockopt(pointer, ZMQ_LAST_ENDPOINT, &buffer, &length)
        return String(
            decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Sends without waiting. False when the peer's queue is full or there is no peer: the message
    /// was not taken. True says nothing about delivery (reference 13).
    public func send(_ frames: [[UInt8]]) throws -> Bool {
        for (index, frame) in frames.enumerated() {
            let more = index + 1 < frames.count ? ZMQ_SNDMORE : 0
            while zmq_send(pointer, frame, frame.count, ZMQ_DONTWAIT | more) < 0 {
                let code = zmq_errno()
                if code == EINTR { continue }
                if code == EAGAIN { return false }
                throw ZeroMQError(doing: "send", code: code)
            }
        }
        return true
    }

    /// Sends and waits until the message was taken.
    func sendBlocking(_ frames: [[UInt8]]) throws {
        for (index, frame) in frames.enumerated() {
            let more = index + 1 < frames.count ? ZMQ_SNDMORE : 0
            while zmq_send(pointer, frame, frame.count, more) < 0 {
                let code = zmq_errno()
                guard code == EINTR else { throw ZeroMQError(doing: "send", code: code) }
            }
        }
    }

    /// The next message, or nil when none is there.
    public func receive() throws -> Message? { try receive(flags: ZMQ_DONTWAIT) }

    /// Waits for a message as long as the receive time-out says; nil when none came.
    public func receiveBlocking() throws -> Message? { try receive(flags: 0) }

    private func receive(flags: Int32) throws -> Message? {
        var frames: [[UInt8]] = []
        var peer: String?
        while true {
            var part = zmq_msg_t()
            zmq_msg_init(&part)
            defer { zmq_msg_close(&part) }
            guard zmq_msg_recv(&part, pointer, frames.isEmpty ? flags : 0) >= 0 else {
                let code = zmq_errno()
                if code == EINTR { continue }
                if code == EAGAIN { return nil }
                throw ZeroMQError(doing: "receive", code: code)
            }
            let size = zmq_msg_size(&part)
            frames.append(Array(UnsafeRawBufferPointer(start: zmq_msg_data(&part), count: size)))
            if peer == nil, let user = zmq_msg_gets(&part, "User-Id") {
                peer = String(cString: user)
            }
            guard zmq_msg_more(&part) != 0 else { break }
        }
        return Message(frames: frames, peer: peer)
    }

    func set(_ option: Int32, _ value: Int32) throws {
        var value = value
        guard zmq_setsockopt(pointer, option, &value, MemoryLayout<Int32>.size) == 0 else {
            throw ZeroMQError.last("set option \(option) of a \(kind) socket")
        }
    }
    private func set(_ option: Int32, _ value: String) throws {
        guard zmq_setsockopt(pointer, option, value, value.utf8.count) == 0 else {
            throw ZeroMQError.last("set option \(option) of a \(kind) socket")
        }
    }
    private func set(_ option: Int32, _ value: [UInt8]) throws {
        guard zmq_setsockopt(pointer, option, value, value.count) == 0 else {
            throw ZeroMQError.last("set option \(option) of a \(kind) socket")
        }
    }
}
