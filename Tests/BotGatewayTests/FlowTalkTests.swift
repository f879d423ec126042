import Primitives
import ServiceKit
import Testing

@testable import BotGateway

@Suite struct FlowTalkTests {
    @Test func greetingConsentAndFirstQuestionAreOneMessage() {
        var talk = FlowTalk(flow: .lead)
        let actions = talk.handle(.start)
        guard case .say(let text, .consent)? = actions.first else {
            Issue.record("nothing was said")
            return
        }
        #expect(actions.count == 1 && text.contains("Здравствуйте") && text.contains("обращаться"))
    }

    @Test func aWholeTalkEndsComplete() throws {
        var talk = FlowTalk(flow: .lead)
        _ = talk.handle(.start)
        #expect(talk.handle(.consentPressed) == [.consent(how: "button")])
        _ = talk.handle(.text("Иван"))
        #expect(talk.handle(.text("привет")).count == 1, "no phone: asked again")
        _ = talk.handle(.contact(try #require(Phone("+79161234567")), own: true))
        _ = talk.handle(.text("станок"))
        #expect(talk.state == .complete && talk.phoneConfirmed)
        #expect(talk.answers == ["name": "Иван", "phone": "+79161234567", "need": "станок"])
        #expect(talk.handle(.text("ау")) == [], "after the end the bot is silent")
    }

    @Test func withoutConsentTheTalkAsksForItLast() {
        var talk = FlowTalk(flow: .lead)
        for input in [FlowTalk.Input.start, .text("Иван"), .text("89161234567"), .text("станок")] {
            _ = talk.handle(input)
        }
        #expect(talk.state == .open && talk.place == "consent" && !talk.phoneConfirmed)
        _ = talk.handle(.consentPressed)
        #expect(talk.state == .complete)
    }

    @Test func startAloneBeginsAnew() {
        var talk = FlowTalk(flow: .lead)
        _ = talk.handle(.start)
        _ = talk.handle(.text("Иван"))
        #expect(talk.step == 1)
        _ = talk.handle(.start)
        #expect(talk.step == 0 && talk.answers.isEmpty)
    }

    @Test func anAbandonedTalkKeepsItsAnswersAndGoesOnWhenTheClientReturns() {
        var talk = FlowTalk(flow: .lead)
        _ = talk.handle(.start)
        _ = talk.handle(.text("Иван"))
        #expect(talk.abandon() == [.tell] && talk.answers["name"] == "Иван")
        _ = talk.handle(.text("89161234567"))
        #expect(talk.state == .open && talk.answers["phone"] == "+79161234567")
    }
}

@Suite struct SendPaceTests {
    @Test func aChatGetsABurstAndThenOneASecond() {
        var pace = SendPace(now: 0)
        #expect((0..<4).map { _ in pace.wait(chat: "a", now: 0) == nil } == [true, true, true, false])
        #expect(pace.wait(chat: "a", now: 1.01) == nil)
    }

    @Test func allChatsTogetherStayBelowThirtyASecond() {
        var pace = SendPace(now: 0)
        let passed = (0..<100).filter { pace.wait(chat: "\($0)", now: 0) == nil }.count
        #expect(passed == 30)
    }

    @Test func afterTooManyRequestsNothingLeavesUntilThen() {
        var pace = SendPace(now: 0)
        pace.pause(seconds: 7, now: 0)
        #expect(pace.wait(chat: "a", now: 3) == 4)
        #expect(pace.wait(chat: "a", now: 7) == nil)
    }
}

@Suite struct SendOutcomeTests {
    private func understand(_ status: Int, _ body: String) -> OutboxSender.Outcome {
        OutboxSender.understand(status: status, body: Array(body.utf8))
    }

    @Test func answersMeanWhatTheBotAPISays() {
        #expect(understand(200, #"{"ok":true,"result":{"message_id":7}}"#) == .sent(messageID: "7"))
        #expect(
            understand(403, #"{"ok":false,"description":"Forbidden: bot was blocked"}"#)
                == .failed("Forbidden: bot was blocked"))
        #expect(
            understand(429, #"{"ok":false,"description":"Too Many","parameters":{"retry_after":9}}"#)
                == .later(seconds: 9, reason: "Too Many", blames: .way))
    }

    @Test func anAnswerThatTellsNothingIsUnknownAndNotRepeated() {
        guard case .unknown = understand(502, "<html>") else {
            Issue.record("not unknown")
            return
        }
    }
}
