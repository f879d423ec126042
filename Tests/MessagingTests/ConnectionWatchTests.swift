import Testing
import ZeroMQ

@testable import Messaging

@Suite struct ConnectionWatchTests {
    @Test func aConnectionThatLibzmqRetriesIsLeftAlone() {
        var watch = ConnectionWatch()
        watch.saw(.disconnected, at: "a", now: 0)
        watch.saw(.retried, at: "a", now: 0.1)
        #expect(watch.reasonToReconnect(now: 5) == nil)
    }

    @Test func oneThatEndedWithoutARetryIsMadeAgain() {
        var watch = ConnectionWatch()
        watch.saw(.disconnected, at: "a", now: 0)
        #expect(watch.reasonToReconnect(now: 0.5) == nil, "a retry may still show")
        #expect(watch.reasonToReconnect(now: 1.1) == "the connection ended")
        #expect(watch.reasonToReconnect(now: 1.2) == nil, "once")
    }

    /// A peer that may be on either of two hosts: the door that is closed is retried for ever, and says nothing of the other.
    @Test func aClosedDoorHidesNoRefusedOne() {
        var watch = ConnectionWatch()
        watch.saw(.handshakeFailed("refused with 400"), at: "a", now: 0)
        for step in 1...9 { watch.saw(.retried, at: "b", now: Double(step) / 10) }
        #expect(watch.reasonToReconnect(now: 1.1)?.contains("refused with 400") == true)
    }

    /// Beyond its bytes the newest is dropped, however few there are; one large one still passes.
    @Test func aQueueIsBoundedByBytes() async {
        let queue = InputQueue<[UInt8]>(limit: 100, bytes: 1000) { $0.count }
        let (small, large) = ([UInt8](repeating: 1, count: 400), [UInt8](repeating: 1, count: 5000))
        #expect(queue.push(small) && queue.push(small) && !queue.push(small) && queue.dropped == 1)
        #expect(await queue.next(seconds: 0).count == 2)
        #expect(queue.push(large) && !queue.push(small))
        #expect(await queue.next(seconds: 0).count == 1)
        #expect(queue.push(small))
    }

    @Test func aRefusedKeyIsTriedAgainWithGrowingPauses() {
        var watch = ConnectionWatch()
        var attempts: [Double] = []
        var now = 0.0
        while now < 300 {
            watch.saw(.handshakeFailed("refused with 400"), at: "a", now: now)
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
