import ArgumentParser
import Contracts
import FoundationEssentials
import Glibc
import Messaging
import Postgres
import Primitives
import Synchronization

struct Subscribe: AsyncParsableCommand {
    @OptionGroup var place: Place
    @Option(help: "Which subscriber, from 1.") var index = 1
    @Option(help: "Say so when this many have been taken.") var expect = 0
    @Option(help: "Of them the first that are not timed: a process that has just started is careful.") var warmUp = 0
    @Option(help: "Milliseconds that each event takes.") var slow = 0
    @Option(help: "A number at which the process dies, as a poison does.") var poison = -1

    private static let ledger = RowInsert(into: "ledger", ["number": .int, "key": .text])

    func run() async throws {
        let meter = Meter(expect: expect, warmUp: warmUp)
        var handlers = EventHandlers()
        let (slow, poison) = (self.slow, self.poison)
        handlers.on(Loaded.self) { said, event, transaction in
            if said.number == poison { kill(getpid(), SIGKILL) }
            if slow > 0 { try await Task.sleep(for: .milliseconds(slow)) }
            transaction.add([.int(Int64(said.number)), .text(event.key)], to: Self.ledger)
            transaction.afterCommit { meter.count(begunAt: said.begunAt) }
        }
        let bus = try await place.bus("load-s\(index)", [StreamName(publisher: "load-p"): handlers])
        try await running(bus) {
            while !Task.isCancelled {
                try await Task.sleep(for: .seconds(1))
                tell(["state": .string("taken"), "count": .int(Int64(meter.taken)), "rss": .int(residentKilobytes())])
            }
        }
    }
}

/// How many were taken, and how long each was under way.
final class Meter: Sendable {
    private struct State {
        var taken = 0
        var delays: [Double] = []
        var first: UInt64 = 0
    }
    private let state = Mutex(State())
    private let expect, warmUp: Int

    init(expect: Int, warmUp: Int) {
        self.expect = expect
        self.warmUp = warmUp
    }

    var taken: Int { state.withLock { $0.taken } }

    func count(begunAt: UInt64) {
        let now = nanoseconds()
        state.withLock { state in
            if state.taken == 0 { state.first = now }
            state.taken += 1
            if state.taken == 1 { tell(["state": .string("first"), "at": .double(Double(now))]) }
            if state.taken > warmUp, state.delays.count < 200_000 { state.delays.append(Double(now - begunAt) / 1e6) }
            guard state.taken == expect else { return }
            let sorted = state.delays.isEmpty ? [0] : state.delays.sorted()
            func share(_ share: Double) -> RawJSON {
                .double(sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))])
            }
            tell([
                "state": .string("done"), "at": .double(Double(now)), "first": .double(Double(state.first)),
                "p50": share(0.5), "p99": share(0.99), "max": share(1), "rss": .int(residentKilobytes()),
            ])
        }
    }
}

func residentKilobytes() -> Int64 {
    guard let text = try? Data(contentsOf: URL(filePath: "/proc/self/statm")) else { return 0 }
    let pages = String(decoding: text, as: UTF8.self).split(separator: " ").dropFirst().first.flatMap { Int64($0) } ?? 0
    return pages * 4
}
