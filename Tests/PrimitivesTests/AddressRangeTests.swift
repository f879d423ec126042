import Primitives
import Testing

@Suite struct AddressRangeTests {
    @Test(arguments: [
        ("172.16.0.0/12", "172.31.255.255", true), ("172.16.0.0/12", "172.32.0.0", false),
        ("10.0.0.7", "10.0.0.7", true), ("10.0.0.7", "10.0.0.8", false), ("0.0.0.0/0", "203.0.113.9", true),
        ("0.0.0.0/0", "2001:db8::1", false), ("fd00::/8", "fd12::1", true), ("fd00::/8", "fe80::1", false),
        ("::1", "::1", true), ("127.0.0.0/8", "::ffff:127.0.0.1", true), ("127.0.0.0/8", "no address", false),
        ("::ffff:10.0.0.0/104", "10.200.0.1", true),
    ])
    func anAddressIsInARangeOrNot(_ range: String, _ address: String, _ isIn: Bool) {
        #expect(AddressRange(range)?.contains(address) == isIn)
    }

    @Test(
        arguments: [
            ("203.0.113.9", "203.0.113.9"), (" 203.0.113.9:51234", "203.0.113.9"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("[2001:db8:1:2:ffff::1]:443", "2001:db8:1:2::/64"),
            ("unknown", nil), ("", nil), ("203.0.113", nil),
        ] as [(String, String?)])
    func aClientIsCountedByHisAddressOrNetwork(_ text: String, _ client: String?) {
        #expect(AddressRange.client(text) == client)
    }

    @Test(arguments: [
        "", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/+8", "::1/129", "localhost", "10.0.0", "10.0.0.0/8/8",
    ])
    func whatIsNoRangeIsNone(_ text: String) { #expect(AddressRange(text) == nil) }
}
