import Testing
import ZeroMQ

@testable import Messaging

@Suite struct ConnectionWatchTests {
    @Test func aConnectionThatLibzmqRetriesIsLeftAlone() {
        var watch = ConnectionWatch()
        watch.saw(.disconnected, now: 0)
        watch.saw(.retried, now: 0.1)
        #expect(watch.reasonToReconnect(now: 5) == nil)
    }

    @Test func oneThatEndedWithoutARetryIsMadeAgain() {
        var watch = ConnectionWatch()
        watch.saw(.disconnected, now: 0)
        #expect(watch.reasonToReconnect(now: 0.5) == nil, "a retry may still show")
        #expect(watch.reasonToReconnect(now: 1.1) == "the connection ended")
        #expect(watch.reasonToReconnect(now: 1.2) == nil, "once")
    }

    @Test func aRefusedKeyIsTriedAgainWithGrowingPauses() {
        var watch = ConnectionWatch()
        var attempts: [Double] = []
        var now = 0.0
        while now < 300 {
            watch.saw(.handshakeFailed("refused with 400"), now: now)
            for _ in 0..<20 {
                now += 0.1
                if let reason = watch.reasonToReconnect(now: now) {
                    #expect(reason.contains("refused with 400"))
                    attempts.append(now)
                    break
                }
            }
        }
        let pauses = zip(attempts.dropFirst(), attempts).map { $0 - $1 }
        #expect(attempts.count > 5 && attempts.count < 40)
        #expect((pauses.last ?? 0) > (pauses.first ?? 0) && (pauses.max() ?? 0) < 35)
    }
}
