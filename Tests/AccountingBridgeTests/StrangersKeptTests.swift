import Primitives
import Testing

@testable import AccountingBridge

@Suite struct StrangersKeptTests {
    private let start = Timestamp("2026-11-20T10:00:00.000Z")!

    @Test func ofEachAddressAWindowKeepsSoManyAndSaysWhichIsTheLast() {
        var strangers = StrangersKept()
        for number in 1..<StrangersKept.limit { #expect(strangers.knocked("a", start) == .kept, "\(number)") }
        #expect(strangers.knocked("a", start) == .lastKept && strangers.knocked("a", start) == .notKept)
        #expect(strangers.knocked("b", start) == .kept)
        #expect(strangers.knocked("a", start.adding(seconds: StrangersKept.window)) == .kept)
        #expect(strangers.knocked("b", start.adding(seconds: -1)) == .kept, "a clock that was set back begins anew")
    }

    @Test func whoChangesHisAddressFillsNothingEither() {
        var strangers = StrangersKept()
        let words = (0..<StrangersKept.addressLimit + 10).map { strangers.knocked("\($0)", start) }
        #expect(words.count { $0 != .notKept } == StrangersKept.totalLimit && words.count { $0 == .lastKept } == 1)
        #expect(strangers.knocked("0", start.adding(seconds: StrangersKept.window)) == .kept)
    }
}
