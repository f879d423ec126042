import Contracts
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

    /// What came back of a shipment for several orders is a share that no document names.
    @Test func aReturnWithoutASumLeavesTheGoodsUnknownAndTheMoneyAsItIs() {
        let state = OrderState(
            total: Money(minor: 10_000, currency: .rub), tellsPayments: true, paidFlag: nil, shippedFlag: nil,
            documents: [
                .init(kind: "payment", amount: Money(minor: 4_000, currency: .rub), counts: true),
                .init(kind: "shipment", amount: Money(minor: 10_000, currency: .rub), counts: true),
                .init(kind: "return", amount: nil, counts: true),
            ])
        #expect(state.isReturnedUnpriced && state.shipment == "unknown" && !state.isSettled)
        #expect(state.shipped.amount == "100.00" && state.payment == "partly" && state.owed.amount == "60.00")
    }

    /// УНФ tells of a shipment without its sum: goods left, and how much of the order cannot be seen.
    @Test func aShipmentWithoutASumIsNotNothing() {
        func state(_ flag: Bool?) -> OrderState {
            OrderState(
                total: Money(minor: 10_000, currency: .rub), tellsPayments: true, paidFlag: nil, shippedFlag: flag,
                documents: [.init(kind: "shipment", amount: nil, counts: true)])
        }
        #expect(state(nil).shipment == "unknown" && !state(nil).tellsShipments && state(true).shipment == "full")
        #expect(state(nil).payment == "none", "of money nothing has changed")
    }

    @Test func whatABaseCannotTellIsUnknownAndNotZero() {
        #expect(state(tells: false, []).payment == "unknown")
        #expect(state(tells: false, paidFlag: true, []).payment == "full")
        #expect(state(tells: false, []).knowsSums == false)
    }
}

@Suite struct StepWordsTests {
    @Test func everyStepOfALineHasItsWordsInBothLanguages() {
        // What belongs to no request is no step of a line.
        let aside = [
            "crm.session.revoked.v1", "crm.state.snapshot.v1", "crm.user.changed.v1", "onec.exchange.failing.v1",
            "onec.exchange.recovered.v1", "onec.counterparty.reported.v1", "crm.client.link_changed.v1",
        ]
        for contract in EveryContract.types where !aside.contains(contract.type) {
            let words = StepWords(type: contract.type, data: .object([:]))
            #expect(words.text(.ru) != words.kind && words.text(.en) != words.kind, "\(contract.type)")
        }
    }

    @Test func aCountHasNoUnitAndASumHasItsOwn() {
        func words(_ value: String, _ unit: String) -> String {
            StepWords(
                type: "bi.fact.counted.v1",
                data: .object(["metric": .string("m"), "value": .string(value), "unit": .string(unit)])
            ).text(.ru)
        }
        #expect(
            words("1", "pcs") == "Учтено в показателе m: 1" && words("5.00", "RUB") == "Учтено в показателе m: 5.00 RUB"
        )
    }

    @Test func aSentenceIsFilledFromTheEvent() {
        let data = RawJSON.object([
            "kind": .string("refund"), "orderNumber": .string("500"),
            "amount": .object(["amount": .string("1234.50"), "currency": .string("RUB")]),
        ])
        let words = StepWords(type: "crm.payment.recorded.v1", data: data)
        #expect(words.text(.ru) == "Возврат 1\u{a0}234,50\u{a0}₽ по заказу 500")
        #expect(words.text(.en) == "Refund 1,234.50\u{a0}₽ for order 500")
    }
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
