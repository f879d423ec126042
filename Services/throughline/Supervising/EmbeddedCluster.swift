import FoundationEssentials
import Glibc
import Postgres
import ServiceKit
import Sodium

/// A PostgreSQL cluster of the suite's own, in the data folder and on its own port; a system cluster is never touched. As
/// root the server runs as the user `postgres`, in a process session of its own, so that Ctrl-C does not reach it first.
final class EmbeddedCluster {
    private let folder: String
    private let data: String
    private let port: Int
    private let keys: KeyFolder
    private var pid: pid_t?
    private var launch: (() throws -> Void)?
    private var log: String { data + "/postgres.log" }

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    init(data: String, port: Int, keys: KeyFolder) {
        self.data = data
        folder = data + "/postgres"
        self.port = port
        self.keys = keys
    }

    /// Starts the server; the administrator's URL.
    func start(_ supervisor: Supervisor) throws -> String {
        let bin = try Self.programs()
        let password = try keys.secret("database-admin")
        let prefix = try userPrefix(supervisor)
        launch = { [unowned self] in try self.start(supervisor, bin, prefix) }
        if !FileManager.default.fileExists(atPath: folder + "/PG_VERSION") {
            try create(supervisor, bin, prefix, password)
        }
        try endPredecessor()
        try launch?()
        let url = "postgres://throughline:\(password)@127.0.0.1:\(port)/postgres"
        try waitUntilUp(url)
        return url
    }

    private func start(_ supervisor: Supervisor, _ bin: String, _ prefix: [String]) throws {
        if !FileManager.default.fileExists(atPath: log) {
            _ = FileManager.default.createFile(atPath: log, contents: nil)
        }
        let command =
            (["/usr/bin/setsid"] + prefix + [
                bin + "/postgres", "-D", folder, "-p", "\(port)", "-c", "listen_addresses=127.0.0.1",
                "-c", "unix_socket_directories=", "-c", "max_connections=150", "-c", "shared_buffers=64MB",
                "-c", "logging_collector=off", "-c", "log_min_messages=warning", "-c", "jit=off",
            ]).map { "'" + $0.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'" }
            .joined(separator: " ")
        pid = supervisor.spawn(
            ["/bin/sh", "-c", "exec \(command) >>'\(log)' 2>&1"],
            ["PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"])
    }

    /// The server's process ended by itself: it is started again, and recovers.
    func ended(_ dead: pid_t) {
        guard dead == pid else { return }
        LogOutput.write("throughline: PostgreSQL ended; starting it again\n")
        DiskReserve(data: data).look()
        do { try launch?() } catch { LogOutput.write("throughline: \(error)\n") }
    }

    func stop(_ supervisor: Supervisor) {
        guard let pid else { return }
        // SIGINT is PostgreSQL's fast shutdown.
        kill(pid, SIGINT)
        var status: Int32 = 0
        let end = Supervisor.now + 20
        while Supervisor.now < end {
            if waitpid(pid, &status, WNOHANG) == pid { return }
            usleep(20_000)
        }
        kill(pid, SIGQUIT)
        waitpid(pid, &status, 0)
    }

    private static func programs() throws -> String {
        for version in ["15", "16", "17"] where access("/usr/lib/postgresql/\(version)/bin/postgres", X_OK) == 0 {
            return "/usr/lib/postgresql/\(version)/bin"
        }
        throw Failure(description: "PostgreSQL is not installed; deploy/run installs it, or set DATABASE_URL")
    }

    /// How the server is started as an ordinary user. Below a folder that only root can enter it keeps the one
    /// capability of passing through.
    private func userPrefix(_ supervisor: Supervisor) throws -> [String] {
        guard getuid() == 0 else {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            return []
        }
        guard let user = getpwnam("postgres") else {
            throw Failure(description: "the user postgres is missing; it comes with Debian's postgresql packages")
        }
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        chown(folder, user.pointee.pw_uid, user.pointee.pw_gid)
        let plain = ["/usr/bin/setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        if supervisor.finish(plain + ["/usr/bin/test", "-w", folder]) == 0 { return plain }
        return plain + ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    }

    private func create(_ supervisor: Supervisor, _ bin: String, _ prefix: [String], _ password: String) throws {
        let file = "/tmp/throughline-pw-\(getpid())"
        guard
            FileManager.default.createFile(
                atPath: file, contents: Data(password.utf8), attributes: [.posixPermissions: 0o600])
        else { throw Failure(description: "\(file) cannot be written") }
        defer { unlink(file) }
        if getuid() == 0, let user = getpwnam("postgres") { chown(file, user.pointee.pw_uid, user.pointee.pw_gid) }
        let code = supervisor.finish(
            ["/bin/sh", "-c", "exec \"$@\" >/dev/null", "sh"] + prefix + [
                bin + "/initdb", "-D", folder, "-U", "throughline", "--pwfile", file, "-A", "scram-sha-256",
                "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions",
            ], ["PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"])
        guard code == 0 else { throw Failure(description: "initdb failed with code \(code)") }
    }

    /// A server left by a predecessor that was killed is ended first: it is ours, its data folder says so.
    private func endPredecessor() throws {
        guard let text = try? Data(contentsOf: URL(filePath: folder + "/postmaster.pid")),
            let line = String(decoding: text, as: UTF8.self).split(separator: "\n").first,
            let old = pid_t(line), old > 1,
            let arguments = try? Data(contentsOf: URL(filePath: "/proc/\(old)/cmdline")),
            String(decoding: arguments, as: UTF8.self).contains(folder)
        else { return }
        kill(old, SIGINT)
        let end = Supervisor.now + 20
        while kill(old, 0) == 0 {
            guard Supervisor.now < end else {
                throw Failure(description: "the server of a former run (process \(old)) does not stop")
            }
            usleep(50_000)
        }
    }

    private func waitUntilUp(_ url: String) throws {
        var configuration = PostgresConfiguration(url: url, applicationName: "throughline")
        configuration.connectTimeout = 2
        let wanted = configuration
        let end = Supervisor.now + 60
        while Supervisor.now < end {
            if (try? waiting({ try await PostgresConnection(wanted).close() })) != nil { return }
            var status: Int32 = 0
            if let pid, waitpid(pid, &status, WNOHANG) == pid {
                self.pid = nil
                throw Failure(description: "PostgreSQL did not start; see \(log)")
            }
            usleep(50_000)
        }
        throw Failure(description: "PostgreSQL did not answer within 60 s; see \(log)")
    }
}
