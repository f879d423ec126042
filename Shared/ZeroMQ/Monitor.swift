internal import CZeroMQ

/// What a socket's connection just went through.
public enum ConnectionEvent: Sendable, Equatable {
    case connected, retried, disconnected, accepted, handshakeSucceeded
    case handshakeFailed(String)
}

/// Reports a socket's connection events; lives in the same thread as the socket.
///
/// libzmq's I/O thread writes each event into a PAIR and waits when nobody takes it: with no reader, or a full
/// queue, every connection of the process stands still. Our queues have no limit, and monitoring is ended
/// before its reading end is closed.
public final class SocketMonitor {
    private let pair: Socket
    private let watched: Socket

    public init(_ context: ZeroMQContext, _ socket: Socket, name: String) throws {
        let endpoint = "inproc://monitor.\(name)"
        guard zmq_socket_monitor(socket.pointer, endpoint, Int32(ZMQ_EVENT_ALL)) == 0 else {
            throw ZeroMQError.last("monitor \(name)")
        }
        watched = socket
        pair = try Socket(context, .pair)
        try pair.connect(endpoint)
    }

    deinit { zmq_socket_monitor(watched.pointer, nil, 0) }

    public var pollable: Socket { pair }

    /// The next event with the endpoint that it happened at, or nil when none is there. Events of no interest to us are passed over.
    public func next() throws -> (event: ConnectionEvent, endpoint: String)? {
        while let message = try pair.receive() {
            guard let head = message.frames.first, head.count >= 6 else { continue }
            let code = Int32(UInt16(head[0]) | UInt16(head[1]) << 8)
            let value = head[2...5].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            guard let event = Self.event(code, value) else { continue }
            return (event, message.frames.count > 1 ? String(decoding: message.frames[1], as: UTF8.self) : "")
        }
        return nil
    }

    private static func event(_ code: Int32, _ value: UInt32) -> ConnectionEvent? {
        switch code {
        case ZMQ_EVENT_CONNECTED: .connected
        case ZMQ_EVENT_CONNECT_RETRIED: .retried
        case ZMQ_EVENT_DISCONNECTED: .disconnected
        case ZMQ_EVENT_ACCEPTED: .accepted
        case ZMQ_EVENT_HANDSHAKE_SUCCEEDED: .handshakeSucceeded
        case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH: .handshakeFailed("refused with \(value)")
        case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL: .handshakeFailed("protocol error \(value)")
        case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL: .handshakeFailed("connection lost in the handshake")
        default: nil
        }
    }
}
