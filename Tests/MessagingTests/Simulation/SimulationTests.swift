import Foundation
import Messaging
import Testing

/// Thousands of seeded runs of the real protocol code. `deploy/soak --seeds N` runs as many as wanted; a seed that fails is
/// run again by `deploy/soak --seed N`, exactly as it was, and tells its story.
@Suite struct SimulationTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let seeds: ClosedRange<UInt64> = {
        if let one = environment["THROUGHLINE_SEED"].flatMap({ UInt64($0) }) { return one...one }
        let first = environment["THROUGHLINE_FIRST_SEED"].flatMap { UInt64($0) } ?? 1
        return first...(first + (environment["THROUGHLINE_SEEDS"].flatMap { UInt64($0) } ?? 2000) - 1)
    }()

    @Test func nothingIsLostDoubledOrPutOutOfOrder() {
        for seed in Self.seeds {
            var world = SimulatedWorld(seed: seed)
            if let wrong = world.run(steps: 300) {
                Issue.record("seed \(seed): \(wrong)\n\(world.story.suffix(40).joined(separator: "\n"))")
                return
            }
        }
        print("\(Self.seeds.count) seeds: lost 0, doubled 0, out of order 0, unexpected 0")
    }

    @Test(arguments: [StreamDecision.heal, .acceptLoss])
    func aPublisherThatLostItsTailStopsTheStreamVisiblyAndADecisionBringsItOn(_ decision: StreamDecision) {
        for seed in Self.seeds.prefix(1000) {
            var world = SimulatedWorld(seed: seed)
            if let wrong = world.runWithRestore(steps: 60, decision) {
                Issue.record("seed \(seed): \(wrong)\n\(world.story.suffix(40).joined(separator: "\n"))")
                return
            }
        }
    }

    @Test func aSeedReplaysExactly() {
        var (first, second) = (SimulatedWorld(seed: 7), SimulatedWorld(seed: 7))
        _ = first.run(steps: 300)
        _ = second.run(steps: 300)
        #expect(first.story == second.story && !first.story.isEmpty)
    }
}
