import FoundationEssentials
import Glibc
import ServiceKit

/// Starts the services, restarts what dies, stops all of it. Works on the main thread alone: the children are told to
/// end when their parent thread dies, so that not even `kill -9` leaves one behind.
final class Supervisor {
    struct Child {
        let name, path: String
        let arguments: [String]
        let environment: [String: String]
    }
    private struct Running {
        let child: Child
        var startedAt: Double
        var quickDeaths: Int
    }
    private var running: [pid_t: Running] = [:]
    private var waitingToStart: [(child: Child, at: Double, quickDeaths: Int)] = []
    /// A child that is no service ended: the database.
    var onOtherEnd: ((pid_t) -> Void)?

    /// Seconds that a service has for draining before it is killed.
    private static let drainLimit = 10.0

    /// From now on signals are waited for, not delivered.
    func takeSignals() {
        var set = Self.signals
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    private static var signals: sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGCHLD] { sigaddset(&set, signal) }
        return set
    }

    func add(_ child: Child) { start(child, quickDeaths: 0) }

    /// Runs until a signal asks to stop, or a service cannot be configured. The exit code.
    func run(isReady: () -> Bool, onReady: () -> Void) -> Int32 {
        var announced = false
        while true {
            var set = Self.signals
            var pause = timespec(tv_sec: 0, tv_nsec: announced ? 200_000_000 : 50_000_000)
            let signal = sigtimedwait(&set, nil, &pause)
            if [SIGINT, SIGTERM, SIGHUP].contains(signal) {
                stopAll()
                return 0
            }
            if let code = reap() {
                stopAll()
                return code
            }
            startDue()
            if !announced, running.count == 5, isReady() {
                announced = true
                onReady()
                fflush(nil)
            }
        }
    }

    /// Signals that a process brings upon itself.
    private static let faults: Set = [SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS]

    /// Collects the dead and plans their restart. A code when one says that its settings are wrong.
    private func reap() -> Int32? {
        var status: Int32 = 0
        while case let pid = waitpid(-1, &status, WNOHANG), pid > 0 {
            guard let dead = running.removeValue(forKey: pid) else {
                onOtherEnd?(pid)
                continue
            }
            let exited = status & 0x7f == 0
            let code = status >> 8 & 0xff
            if exited, code == 78 { return 78 }
            let lived = Self.now - dead.startedAt
            // One that keeps failing by itself waits longer each time; who was killed comes back at once.
            let isOwnFault = exited || Self.faults.contains(status & 0x7f)
            let quick = lived < 5 && isOwnFault ? dead.quickDeaths + 1 : 0
            let pause = quick < 3 ? 0 : min(5, 0.2 * Double(1 << min(quick - 3, 6)))
            LogOutput.write(
                "throughline: \(dead.child.name) ended (\(exited ? "code \(code)" : "signal \(status & 0x7f)")); "
                    + "starting it again\(pause > 0 ? " in \(pause) s" : "")\n")
            waitingToStart.append((dead.child, Self.now + pause, quick))
        }
        return nil
    }

    private func startDue() {
        let due = waitingToStart.filter { $0.at <= Self.now }
        waitingToStart.removeAll { $0.at <= Self.now }
        for one in due { start(one.child, quickDeaths: one.quickDeaths) }
    }

    private func start(_ child: Child, quickDeaths: Int) {
        let pid = spawn(
            ["/usr/bin/setpriv", "--pdeathsig", "TERM", child.path] + child.arguments, child.environment)
        guard let pid else {
            waitingToStart.append((child, Self.now + 1, quickDeaths + 1))
            return
        }
        running[pid] = Running(child: child, startedAt: Self.now, quickDeaths: quickDeaths)
    }

    private func stopAll() {
        for pid in running.keys { kill(pid, SIGTERM) }
        let end = Self.now + Self.drainLimit
        var status: Int32 = 0
        while !running.isEmpty, Self.now < end {
            let pid = waitpid(-1, &status, WNOHANG)
            if pid > 0 { running[pid] = nil } else { usleep(20_000) }
        }
        for pid in running.keys {
            kill(pid, SIGKILL)
            waitpid(pid, &status, 0)
        }
        running = [:]
    }

    /// Starts a program with default signals and no blocked ones; its pid.
    func spawn(_ command: [String], _ environment: [String: String]) -> pid_t? {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        let arguments = command.map { strdup($0) } + [nil]
        let variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in arguments + variables { free(text) } }
        var pid = pid_t()
        let result = posix_spawn(&pid, command[0], nil, &attributes, arguments, variables)
        guard result == 0 else {
            LogOutput.write("throughline: \(command[0]) cannot be started: \(String(cString: strerror(result)))\n")
            return nil
        }
        return pid
    }

    /// Runs a program to its end; its exit code.
    func finish(_ command: [String], _ environment: [String: String] = [:]) -> Int32 {
        guard let pid = spawn(command, environment) else { return 127 }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        return status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f
    }

    static var now: Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
