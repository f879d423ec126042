internal import CZeroMQ

/// A refused call of libzmq, with what was being done.
public struct ZeroMQError: Error, CustomStringConvertible, Sendable {
    public let doing: String
    public let code: Int32

    static func last(_ doing: String) -> ZeroMQError {
        ZeroMQError(doing: doing, code: zmq_errno())
    }

    public var description: String { "\(doing): \(String(cString: zmq_strerror(code)))" }
}
