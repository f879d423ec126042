import Contracts
import Testing

@testable import Messaging

@Suite("A publisher's decisions")
struct PublisherDecisionsTests {
    @Test("of the same question asked again and again the newest is answered, in its place")
    func repeatedQuestions() {
        func question(_ seq: Int64, _ lane: Lane = .main) -> Inbound {
            .pullPage(PullPage(from: "crm-core", stream: "bot-gateway", lane: lane, seq: seq))
        }
        func asked(_ letters: [(Inbound, String)]) -> [String] {
            PublisherDecisions.newestQuestions(letters).map { letter, peer in
                switch letter {
                case .pullPage(let question): "\(peer) \(question.lane) \(question.seq)"
                default: "\(peer) other"
                }
            }
        }
        let position = Inbound.position(Position(from: "crm-core", stream: "bot-gateway", lane: .main, seq: 4))
        #expect(asked([]) == [])
        #expect(
            asked([(question(1), "a"), (question(1), "a"), (position, "a"), (question(9), "a")]) == [
                "a other", "a main 9",
            ])
        #expect(
            asked([(question(1), "a"), (question(2), "b"), (question(3, .bulk), "a"), (position, "a"), (position, "a")])
                == ["a main 1", "b main 2", "a bulk 3", "a other", "a other"])
    }
}
