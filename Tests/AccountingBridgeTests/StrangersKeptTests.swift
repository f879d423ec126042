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

    @Test func addressesAreRememberedUpToALimit() {
        var strangers = StrangersKept()
        let later = start.adding(seconds: 1)
        for _ in 0..<StrangersKept.limit { _ = strangers.knocked("old", start) }
        for _ in 0..<StrangersKept.limit { _ = strangers.knocked("new", later) }
        for number in 0..<StrangersKept.addressLimit - 2 { _ = strangers.knocked("\(number)", start) }
        _ = strangers.knocked("one more", later)
        #expect(strangers.knocked("new", later) == .notKept, "the newest stay")
    }
}
