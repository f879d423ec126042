import ArgumentParser
import Contracts
import Dispatch
import Glibc
import Messaging
import Postgres
import Primitives
import Synchronization

struct Publish: AsyncParsableCommand {
    @OptionGroup var place: Place
    @Option(help: "Events to say; 0: only serve what was said.") var count = 1000
    @Option(help: "First number.") var first = 0
    @Option(help: "Events of one transaction.") var batch = 100
    @Option(help: "Transactions at a time.") var writers = 2
    @Option(help: "Events a second; 0: as fast as it goes.") var rate = 0.0
    @Option(help: "Bytes of an event's body, about.") var size = 400
    @Option(help: "Different keys.") var keys = 100
    @Option(help: "main or bulk.") var lane = "main"
    @Flag(help: "Say the first event, then wait for a line on standard input: until those who take them are there.")
    var held = false

    func run() async throws {
        let bus = try await place.bus("load-p")
        let dealer = Dealer(first, count, batch)
        let filler = String(repeating: "x", count: max(0, size - 370))
        let (first, rate, keys, held) = (self.first, self.rate, self.keys, self.held)
        let lane = Lane(rawValue: self.lane) ?? .main
        try await running(bus) { [writers] in
            if held {
                if let one = dealer.deal(1) { await Self.say(one, bus, filler, keys, lane) }
                // On a thread of its own: there are few for the tasks.
                await withCheckedContinuation { continuation in
                    DispatchQueue.global().async {
                        _ = readLine()
                        continuation.resume()
                    }
                }
            }
            let start = nanoseconds()
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<max(1, writers) {
                    group.addTask {
                        while let numbers = dealer.deal() {
                            if rate > 0 {
                                let due = start + UInt64(Double(numbers.lowerBound - first) / rate * 1e9)
                                let now = nanoseconds()
                                if due > now { try? await Task.sleep(for: .nanoseconds(due - now)) }
                            }
                            await Self.say(numbers, bus, filler, keys, lane)
                        }
                    }
                }
            }
            tell([
                "state": .string("said"), "from": .double(Double(start)), "at": .double(Double(nanoseconds())),
                "rss": .int(residentKilobytes()),
            ])
        }
    }

    /// Until it is known to be said: a number is in the ledger once, whatever happened to the COMMIT.
    private static func say(_ numbers: Range<Int>, _ bus: EventBus, _ filler: String, _ keys: Int, _ lane: Lane) async {
        let begun = nanoseconds()
        while !Task.isCancelled {
            do {
                _ = try await bus.transaction { transaction in
                    transaction.write(
                        "INSERT INTO ledger (number, key) SELECT * FROM unnest($1::bigint[], $2::text[])",
                        [.ints(numbers.map { Int64($0) }), .texts(numbers.map { "k\($0 % keys)" })])
                    for number in numbers {
                        try transaction.emit(
                            Loaded(number: number, begunAt: begun, filler: filler), key: "k\(number % keys)",
                            correlation: nil, causation: nil, lane: lane)
                    }
                }
                return
            } catch {
                var known: Rows?
                while known == nil, !Task.isCancelled {
                    try? await Task.sleep(for: .milliseconds(100))
                    known = try? await bus.pool.query(
                        "SELECT 1 AS one FROM ledger WHERE number = $1", [.int(numbers.lowerBound)])
                }
                if known?.isEmpty == false { return }
            }
        }
    }
}

/// Deals the load's numbers out, a transaction's worth at a time.
private final class Dealer: Sendable {
    private let next: Mutex<Int>
    private let end, batch: Int

    init(_ first: Int, _ count: Int, _ batch: Int) {
        next = Mutex(first)
        end = first + count
        self.batch = batch
    }

    /// - Parameter count: as many as a transaction takes when it is not given.
    func deal(_ count: Int? = nil) -> Range<Int>? {
        next.withLock { next in
            guard next < end else { return nil }
            let upper = min(end, next + (count ?? batch))
            defer { next = upper }
            return next..<upper
        }
    }
}
