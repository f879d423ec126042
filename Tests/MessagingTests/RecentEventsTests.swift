import Testing

@testable import Messaging

@Suite struct RecentEventsTests {
    private func entries(_ range: ClosedRange<Int64>) -> [RecentEvents.Entry] {
        range.map { .init(seq: $0, link: .zero, body: Array("\($0)".utf8)) }
    }

    @Test func aGapEmptiesTheMemorySoThatNoPageIsShifted() {
        let recent = RecentEvents()
        recent.append(entries(1...10), stream: "a", lane: .main)
        #expect(recent.page(stream: "a", lane: .main, from: 5)?.1.first?.seq == 5)
        recent.append(entries(16...20), stream: "a", lane: .main)
        #expect(recent.page(stream: "a", lane: .main, from: 11) == nil)
        #expect(recent.page(stream: "a", lane: .main, from: 18)?.1.map(\.seq) == [18, 19, 20])
    }

    @Test func aWaitOfNoTimeAlwaysEnds() async {
        let signal = Signal()
        for _ in 0..<20_000 { await signal.wait(seconds: 0) }
    }
}
