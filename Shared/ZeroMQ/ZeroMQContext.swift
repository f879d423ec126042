internal import CZeroMQ

/// libzmq's context: one per process (4.3.4 with CURVE may crash with two at exit, reference 28).
public final class ZeroMQContext: Sendable {
    // A context is thread-safe by libzmq's contract (zmq_ctx_new); sockets are not, and are not here.
    nonisolated(unsafe) let pointer: UnsafeMutableRawPointer

    /// - Parameter socketLimit: sockets that may be open at a time.
    public init(socketLimit: Int32 = 2048) {
        pointer = zmq_ctx_new()
        zmq_ctx_set(pointer, ZMQ_MAX_SOCKETS, socketLimit)
    }

    /// Ends every blocking call on the context's sockets with ETERM. The context itself is left to the
    /// process's exit: `zmq_ctx_term` has a double free at shutdown in 4.3.4 (reference 28).
    public func shutdown() { zmq_ctx_shutdown(pointer) }
}
