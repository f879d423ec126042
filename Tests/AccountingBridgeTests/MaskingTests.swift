import Testing

@testable import AccountingBridge

@Suite("What a manager sees of particulars") struct MaskingTests {
    @Test(arguments: [
        ("8 916 123-45-67", "* *** ***-45-67"), ("+7 (701) 234-56-78", "+* (***) ***-56-78"),
        ("ИНН7736050003", "ИНН******0003"),
        ("от 2026-02-18 (8-916-123-45-67)", "от 2026-02-18 (*-***-***-45-67)"),
        ("2026-02-18 40702810900000001234", "2026-02-18 ****************1234"),
        ("maria.s@example.ru, заказ 500", "m***@example.ru, заказ 500"),
        ("<Номер>12345678901</Номер>", "<Номер>*******8901</Номер>"),
        ("<Сумма>901875.75</Сумма> 2026-11-20T10:00:00", "<Сумма>901875.75</Сумма> 2026-11-20T10:00:00"), ("", ""),
    ])
    func particularsAreCoveredHoweverTheyAreWritten(_ text: String, _ shown: String) {
        #expect(Masking.covered(text) == shown)
    }
}
