import Logging
import Testing

@testable import Messaging

@Suite struct HandlingWatchTests {
    @Test func aHandlerThatDoesNotComeBackTakesItsProcessWithIt() async {
        await #expect(processExitsWith: .exitCode(70)) {
            let watch = HandlingWatch(limit: 0)
            try await watch.timed("a message") { watch.endIfStuck(Logger(label: "test")) }
        }
    }

    @Test func oneThatCameBackDoesNot() async throws {
        let watch = HandlingWatch(limit: 0)
        try await watch.timed("a message") {}
        await #expect(throws: CancellationError.self) { try await watch.timed("another") { throw CancellationError() } }
        watch.endIfStuck(Logger(label: "test"))
    }
}
