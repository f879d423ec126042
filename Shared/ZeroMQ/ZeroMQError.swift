internal import CZeroMQ
import Glibc

/// A refused call of libzmq, with what was being done.
public struct ZeroMQError: Error, CustomStringConvertible, Sendable {
    public let doing: String
    public let code: Int32

    static func last(_ doing: String) -> ZeroMQError {
        ZeroMQError(doing: doing, code: zmq_errno())
    }

    /// The process, or the machine, has no descriptors left.
    public var isOutOfDescriptors: Bool { code == EMFILE || code == ENFILE }

    public var description: String { "\(doing): \(String(cString: zmq_strerror(code)))" }
}
