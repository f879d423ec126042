import Primitives
import Testing

@testable import AccountingBridge

@Suite struct PasswordGuessesTests {
    private let start = Timestamp("2026-11-20T10:00:00.000Z")!

    @Test func whoGuessesIsShutOutAndWhoWasLetInIsNot() {
        var guesses = PasswordGuesses()
        guesses.admitted("proxy")
        for number in 1..<PasswordGuesses.limit {
            #expect(
                guesses.failed("stranger", start) == .wrong && guesses.failed("proxy", start) == .wrong, "\(number)")
        }
        #expect(!guesses.isShutOut("stranger", start))
        #expect(guesses.failed("stranger", start) == .lastKept && guesses.failed("proxy", start) == .lastKept)
        #expect(guesses.isShutOut("stranger", start) && !guesses.isShutOut("proxy", start))
        #expect(guesses.failed("proxy", start) == .tooMany)
        #expect(!guesses.isShutOut("another", start))
        let later = start.adding(seconds: PasswordGuesses.window)
        #expect(!guesses.isShutOut("stranger", later) && guesses.failed("stranger", later) == .wrong)
        #expect(!guesses.isShutOut("stranger", start.adding(seconds: -1)), "a clock that was set back shuts nobody out")
    }

    @Test func addressesAreRememberedUpToALimit() {
        var guesses = PasswordGuesses()
        for _ in 0..<PasswordGuesses.limit { _ = guesses.failed("old", start) }
        let later = start.adding(seconds: 1)
        for _ in 0..<PasswordGuesses.limit { _ = guesses.failed("new", later) }
        for number in 0..<PasswordGuesses.addressLimit - 2 { _ = guesses.failed("\(number)", start) }
        _ = guesses.failed("one more", later)
        #expect(guesses.isShutOut("new", later), "the newest stay")
    }
}
