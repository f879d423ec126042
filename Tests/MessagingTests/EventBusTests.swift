import Contracts
import Foundation
import Postgres
import Primitives
import Synchronization
import Testing

@testable import Messaging

extension OnARealBus {
    @Suite struct EventBusTests {
        private func say(_ numbers: some Sequence<Int>, _ bus: EventBus, key: String = "k") async throws {
            for number in numbers {
                _ = try await bus.transaction { transaction in
                    try transaction.emit(Said(number: number), key: key, correlation: nil, causation: nil)
                }
            }
        }

        @Test func whatWasSaidIsHeardOnceAndInOrderAlsoByOneWhoComesLate() async throws {
            let pair = try await Pair()
            let talker = try pair.bus(pair.talker)
            let talking = Task { try await talker.run() }
            try await pair.until { talker.missing == nil }
            try await say(100..<200, talker)
            let listener = try pair.bus(pair.listener, pair.hearing())
            let listening = Task { try await listener.run() }
            try await say(200..<300, talker)
            try await pair.until { try await pair.heard().count >= 200 }
            #expect(try await pair.heard().map(\.number) == Array(100..<300))
            talking.cancel()
            listening.cancel()
        }

        /// Copies are kept by the batch: those of large events stand in several rows, and each is what was said.
        @Test func copiesOfLargeEventsAreWhatWasSaid() async throws {
            let pair = try await Pair()
            let talker = try pair.bus(pair.talker)
            let taken = Mutex(0)
            var handlers = EventHandlers()
            handlers.on(Large.self) { _, _, transaction in
                transaction.afterCommit {
                    taken.withLock { $0 += 1 }
                    pair.news.poke()
                }
            }
            let listener = try pair.bus(pair.listener, [StreamName(publisher: pair.talker.name): handlers])
            let running = [Task { try await talker.run() }, Task { try await listener.run() }]
            try await pair.until { talker.missing == nil && listener.missing == nil }
            _ = try await talker.transaction { transaction in
                for size in [200_000, 10, 250_000, 1, 0] + Array(repeating: 200_000, count: 12) {
                    try transaction.emit(
                        Large(filler: String(repeating: "ы", count: size / 2)), key: "k", correlation: nil,
                        causation: nil)
                }
            }
            try await pair.until { taken.withLock { $0 } == 17 }
            let same = try await pair.pool.query(
                """
                SELECT count(*) AS n FROM \(pair.listener.schema).inbox AS i
                JOIN \(pair.talker.schema).event_no AS n USING (seq, link)
                JOIN \(pair.talker.schema).event AS e ON e.day = n.event_day AND e.id = n.event_id
                    AND e.body = i.body AND e.event_id = i.event_id AND e.type = i.type AND e.at = i.at
                """)[0]
            #expect(try same.int("n") == 17)
            for task in running { task.cancel() }
        }

        private struct Large: EventContract {
            static let type = "test.large.v1"
            let filler: String
        }

        @Test func copiesShareARowUpToALimitOfNumberAndBytes() {
            #expect(Applier.runs(of: []) == [] && Applier.runs(of: [0]) == [0..<1])
            #expect(Applier.runs(of: .init(repeating: 1, count: 500)) == [0..<500])
            #expect(Applier.runs(of: .init(repeating: 1, count: 1001)) == [0..<500, 500..<1000, 1000..<1001])
            #expect(Applier.runs(of: .init(repeating: 262_144, count: 9)) == [0..<4, 4..<8, 8..<9])
            #expect(Applier.runs(of: [3, 2_000_000, 3]) == [0..<2, 2..<3])
        }

        @Test func manyWritersAtOnceLeaveNoGapAndEachKeyInOrder() async throws {
            let pair = try await Pair()
            let talker = try pair.bus(pair.talker)
            let listener = try pair.bus(pair.listener, pair.hearing())
            let running = [Task { try await talker.run() }, Task { try await listener.run() }]
            try await pair.until { talker.missing == nil && listener.missing == nil }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<6 {
                    group.addTask {
                        try await say(writer * 1000 + 100..<writer * 1000 + 160, talker, key: "writer-\(writer)")
                    }
                }
                try await group.waitForAll()
            }
            try await pair.until { try await pair.heard().count >= 360 }
            let heard = try await pair.heard()
            #expect(heard.count == 360 && Set(heard.map(\.number)).count == 360)
            for (_, numbers) in Dictionary(grouping: heard, by: \.key) {
                #expect(numbers.map(\.number) == numbers.map(\.number).sorted())
            }
            let numbered = try await pair.pool.query(
                "SELECT min(seq) AS first, max(seq) AS last, count(*) AS n FROM \(pair.talker.schema).event_no")[0]
            #expect(try numbered.int("first") == 1 && numbered.int("last") == 360 && numbered.int("n") == 360)
            for task in running { task.cancel() }
        }

        @Test func whatCannotBeDoneIsParkedAndOnlyItsKeyWaitsBehindIt() async throws {
            let pair = try await Pair()
            let talker = try pair.bus(pair.talker)
            let listener = try pair.bus(pair.listener, pair.hearing())
            let running = [Task { try await talker.run() }, Task { try await listener.run() }]
            try await pair.until { talker.missing == nil && listener.missing == nil }
            // The second 13 is refused by its handler too, which asks no database; it must wait behind the first all the same.
            try await say([1, 13, 2, 13], talker, key: "unlucky")
            try await say([3, 4], talker, key: "other")
            try await pair.until { try await pair.heard().count == 3 }
            #expect(try await pair.heard().map(\.number) == [1, 3, 4])
            let parked = try await pair.pool.query(
                "SELECT seq, reason, behind FROM \(pair.listener.schema).parked ORDER BY seq")
            #expect(parked.count == 3)
            #expect(try parked[0].string("reason").contains("thirteen") && parked[0].bool("behind") == false)
            #expect(try parked[1].int("seq") == 3 && parked[1].bool("behind"))
            #expect(try parked[2].int("seq") == 4 && parked[2].bool("behind"))
            for task in running { task.cancel() }
        }

        @Test func aPassingFailureIsTriedAgainUntilItPasses() async throws {
            let pair = try await Pair()
            let talker = try pair.bus(pair.talker)
            let broken = Box(isBroken: true)
            let listener = try pair.bus(pair.listener, pair.hearing { broken.value })
            let running = [Task { try await talker.run() }, Task { try await listener.run() }]
            try await pair.until { talker.missing == nil && listener.missing == nil }
            try await say([1, 2, 3], talker)
            try await pair.until { broken.asked > 3 }
            #expect(try await pair.heard().isEmpty)
            broken.mend()
            try await pair.until { try await pair.heard().count == 3 }
            #expect(try await pair.pool.query("SELECT 1 AS one FROM \(pair.listener.schema).parked").isEmpty)
            for task in running { task.cancel() }
        }

        @Test func aSecondInstanceStandsByAndTakesOver() async throws {
            let pair = try await Pair()
            let first = try pair.bus(pair.talker)
            let leading = Task { try await first.run() }
            try await pair.until { first.missing == nil }
            let second = try pair.bus(pair.talker)
            let standby = Task { try await second.run() }
            try await pair.until { second.missing?.contains("lease") == true }
            leading.cancel()
            try await pair.until(10) { second.missing == nil }
            let listener = try pair.bus(pair.listener, pair.hearing())
            let listening = Task { try await listener.run() }
            try await say([1], second)
            try await pair.until { try await pair.heard().count == 1 }
            standby.cancel()
            listening.cancel()
        }
    }
}

/// Whether a handler fails now, and how often it was asked.
private final class Box: Sendable {
    private let state: Mutex<(isBroken: Bool, asked: Int)>
    init(isBroken: Bool) { state = Mutex((isBroken, 0)) }
    var value: Bool {
        state.withLock { state in
            state.asked += 1
            return state.isBroken
        }
    }
    var asked: Int { state.withLock { $0.asked } }
    func mend() { state.withLock { $0.isBroken = false } }
}
