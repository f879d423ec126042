import Testing

@testable import CRMCore

@Suite("Who is right about a client") struct ClientTruthTests {
    private func decide(
        _ field: ClientTruth.Field, _ ours: String?, _ before: String?, _ now: String?, first: Bool = false
    )
        -> ClientTruth.Verdict
    { ClientTruth.decide(field, ours: ours, before: before, now: now, isFirst: first) }

    @Test func whatOnlyOneSideHasChangedIsTaken() {
        #expect(decide(.name, "Иванов С.И.", "Иванов С.И.", "Иванов Сергей Иванович") == .taken)
        #expect(decide(.name, "ИП Иванов", "Иванов С.И.", "Иванов С.И.") == .nothing, "only we have")
        #expect(decide(.kpp, nil, nil, "770701001") == .taken)
        #expect(
            decide(.name, "А", "А", "А") == .nothing && decide(.inn, "1", "1", nil) == .nothing
                && decide(.inn, "1", "1", "") == .nothing)
    }

    @Test func whatBothHaveChangedStaysWithItsOwner() {
        #expect(
            decide(.name, "ИП Иванов", "Иванов С.И.", "Иванов (розница)")
                == .conflict(keepsOurs: true, rule: ClientTruth.Field.name.rule))
        #expect(decide(.inn, "111", "222", "333") == .conflict(keepsOurs: false, rule: ClientTruth.Field.inn.rule))
        #expect(decide(.name, "Б", "А", "Б") == .nothing, "they agree again")
    }

    @Test func aCardLinkedJustNowFillsWhatIsMissingAndChangesNothing() {
        #expect(decide(.name, "ООО «Ромашка»", nil, "Ромашка", first: true) == .nothing)
        #expect(decide(.kpp, nil, nil, "770701001", first: true) == .taken)
    }
}

@Suite("The nightly comparison") struct NightlyComparisonTests {
    @Test func itIsDueOnceANightFromItsHour() {
        #expect(!NightlyComparison.isDue(day: "2026-11-26", clock: "02:59", last: nil))
        #expect(NightlyComparison.isDue(day: "2026-11-26", clock: "03:00", last: nil))
        #expect(
            NightlyComparison.isDue(day: "2026-11-26", clock: "14:00", last: "2026-11-25"),
            "the machine was off at night")
        #expect(!NightlyComparison.isDue(day: "2026-11-26", clock: "14:00", last: "2026-11-26"))
    }
}
