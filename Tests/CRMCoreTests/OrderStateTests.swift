import Primitives
import Testing

@testable import CRMCore

@Suite struct OrderStateTests {
    private func state(
        tells: Bool? = true, paidFlag: Bool? = nil, _ documents: [(String, Int64, Bool)]
    ) -> OrderState {
        OrderState(
            total: Money(minor: 10_000_000, currency: .rub), tellsPayments: tells, paidFlag: paidFlag,
            shippedFlag: nil,
            documents: documents.map { .init(kind: $0.0, amount: Money(minor: $0.1, currency: .rub), counts: $0.2) })
    }

    @Test func aPartialPaymentIsItsOwnState() {
        let partly = state([("payment", 3_000_000, true)])
        #expect(partly.payment == "partly" && partly.owed.amount == "70000.00")
        #expect(state([("payment", 3_000_000, true), ("payment", 7_000_000, true)]).payment == "full")
        let reopened = state([("payment", 10_000_000, true), ("refund", 1_000_000, true)])
        #expect(reopened.payment == "partly" && reopened.owed.amount == "10000.00")
    }

    @Test func anUnpostedPaymentDoesNotCount() { #expect(state([("payment", 5_000_000, false)]).payment == "none") }

    @Test func whatABaseCannotTellIsUnknownAndNotZero() {
        #expect(state(tells: false, []).payment == "unknown")
        #expect(state(tells: false, paidFlag: true, []).payment == "full")
        #expect(state(tells: false, []).knowsSums == false)
    }
}

@Suite struct RussianTextTests {
    @Test(arguments: [(1, "заявка"), (2, "заявки"), (5, "заявок"), (11, "заявок"), (21, "заявка"), (112, "заявок")])
    func pluralsAreRight(_ count: Int, _ word: String) {
        #expect(RussianText.plural(count, "заявка", "заявки", "заявок") == word)
    }

    @Test func sumsAreGrouped() { #expect(RussianText.money("1234567.50", "RUB") == "1\u{a0}234\u{a0}567,50\u{a0}₽") }
}

@Suite struct LineOrderTests {
    @Test func aCauseStandsBeforeItsEffectWithinOneMillisecond() {
        let (first, second, third) = (ID.make(), ID.make(), ID.make())
        func step(_ id: ID, _ cause: ID?) -> JourneyView.Step {
            .init(
                id: id, at: Timestamp(milliseconds: 1), service: "s", kind: "k", summary: "", ref: nil,
                causedBy: cause, by: nil)
        }
        let ordered = JourneyView.causesFirst([step(third, second), step(second, first), step(first, nil)])
        #expect(ordered.map(\.id) == [first, second, third])
    }
}
