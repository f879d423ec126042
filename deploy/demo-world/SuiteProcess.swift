import Dispatch
import Glibc

/// The suite as a child process that gets our signals and outlives nothing.
struct SuiteProcess: Sendable {
    let command: [String]

    func start() throws -> pid_t {
        let arguments = command.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var pid = pid_t()
        let code = posix_spawn(&pid, command[0], nil, nil, arguments, environ)
        guard code == 0 else { throw Failure(description: "\(command[0]): \(String(cString: strerror(code)))") }
        return pid
    }

    struct Failure: Error, CustomStringConvertible { let description: String }

    /// Ctrl-C reaches the suite by the terminal too; it stops once.
    nonisolated static func passSignals(to pid: pid_t) {
        for number in [SIGINT, SIGTERM, SIGHUP] {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { @Sendable in kill(pid, SIGTERM) }
            source.resume()
            // Lives as long as the process.
            _ = Unmanaged.passRetained(source as AnyObject)
        }
    }

    func wait(_ pid: pid_t) async -> Int32 {
        await withCheckedContinuation { continuation in
            DispatchQueue(label: "suite").async {
                var status: Int32 = 0
                while waitpid(pid, &status, 0) < 0, errno == EINTR {}
                continuation.resume(returning: status & 0x7f == 0 ? status >> 8 & 0xff : 1)
            }
        }
    }
}
