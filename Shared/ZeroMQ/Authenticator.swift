internal import CZeroMQ
import Glibc
import Synchronization

/// The process's ZAP handler (ZeroMQ RFC 27): tells which CURVE keys may enter which domain. Bound before
/// any other socket. When it dies nobody new gets in, because every server socket enforces its domain.
public final class Authenticator: Sendable {
    private struct Table {
        /// domain → raw public key → name of its owner
        var allowed: [String: [[UInt8]: String]] = [:]
        var refusals: [String: Int] = [:]
    }
    private let table = Mutex(Table())

    public init(_ context: ZeroMQContext) throws {
        // Bound before any server socket exists, then handed over once.
        let socket = try Socket(context, .rep)
        try socket.bind("inproc://zeromq.zap.01")
        startThread("zap", with: socket) { [weak self] socket in
            // One handshake that breaks off must not end it: without this thread nobody gets in any more.
            while true {
                do {
                    guard let request = try socket.receiveBlocking() else { continue }
                    guard let self else { return }
                    try socket.sendBlocking(self.answer(request.frames))
                } catch let error as ZeroMQError where error.code == ETERM {
                    return
                } catch {
                    continue
                }
            }
        }
    }

    /// Replaces who may enter `domain`: public keys in Z85 with their owners' names.
    public func allow(_ names: [String: String], in domain: String) {
        var keys: [[UInt8]: String] = [:]
        for (key, name) in names {
            var raw = [UInt8](repeating: 0, count: 32)
            if zmq_z85_decode(&raw, key) != nil { keys[raw] = name }
        }
        let ready = keys
        table.withLock { $0.allowed[domain] = ready }
    }

    /// How many were turned away, by domain.
    public var refusals: [String: Int] { table.withLock { $0.refusals } }

    /// Request: version, id, domain, address, routing id, mechanism, credentials.
    /// Reply: version, id, status, text, user id, metadata.
    private func answer(_ request: [[UInt8]]) -> [[UInt8]] {
        func reply(_ status: String, _ text: String, _ user: String = "") -> [[UInt8]] {
            let id = request.count > 1 ? request[1] : []
            return [Array("1.0".utf8), id, Array(status.utf8), Array(text.utf8), Array(user.utf8), []]
        }
        guard request.count == 7, request[5] == Array("CURVE".utf8) else {
            return reply("400", "CURVE is required")
        }
        let domain = String(decoding: request[2], as: UTF8.self)
        return table.withLock { table in
            // 300 is tried again by the client, 400 ends it for good (reference 37).
            guard let keys = table.allowed[domain] else { return reply("300", "not ready") }
            guard let name = keys[request[6]] else {
                table.refusals[domain, default: 0] += 1
                return reply("400", "unknown key")
            }
            return reply("200", "OK", name)
        }
    }
}
