import Glibc

/// IP addresses that begin alike: `172.16.0.0/12`, `fd00::/8`, or a single one.
public struct AddressRange: Sendable, Equatable {
    /// 16 bytes; an IPv4 address stands mapped into IPv6 (RFC 4291, 2.5.5.2), so that both ways of writing it are one.
    private let bytes: [UInt8]
    private let bits: Int

    /// Nil when it is none.
    public init?(_ text: String) {
        let parts = text.split(separator: "/" as Character, maxSplits: 1, omittingEmptySubsequences: false).map(
            String.init)
        guard let bytes = Self.bytes(parts[0]) else { return nil }
        let own = parts[0].contains(":") ? 128 : 32
        guard parts.count == 1 || parts[1].allSatisfy({ $0.isASCII && $0.isNumber }),
            let length = parts.count == 1 ? own : Int(parts[1]), length <= own
        else { return nil }
        self.bytes = bytes
        bits = 128 - own + length
    }

    public func contains(_ address: String) -> Bool {
        guard let other = Self.bytes(address) else { return false }
        return (0..<bits).allSatisfy { bit in
            let mask = UInt8(0x80) >> UInt8(bit % 8)
            return bytes[bit / 8] & mask == other[bit / 8] & mask
        }
    }

    /// What attempts of a client are counted by: his address without a port, and of IPv6 the network that one customer has (its first 64
    /// bits). Nil when the text is no address.
    public static func client(_ text: String) -> String? {
        var address = text.trimmed
        if address.hasPrefix("["), let end = address.firstIndex(of: "]") {
            address = String(address[address.index(after: address.startIndex)..<end])
        } else if address.count(where: { $0 == ":" }) == 1, let colon = address.firstIndex(of: ":") {
            address = String(address[..<colon])
        }
        guard let bytes = bytes(address) else { return nil }
        if bytes.starts(with: mapped) { return bytes[12...].map { "\($0)" }.joined(separator: ".") }
        return stride(from: 0, to: 8, by: 2)
            .map { String(UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]), radix: 16) }.joined(separator: ":") + "::/64"
    }

    private static let mapped = [UInt8](repeating: 0, count: 10) + [0xff, 0xff]

    private static func bytes(_ address: String) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 16)
        if bytes.withUnsafeMutableBytes({ inet_pton(AF_INET6, address, $0.baseAddress) }) == 1 { return bytes }
        var four = [UInt8](repeating: 0, count: 4)
        guard four.withUnsafeMutableBytes({ inet_pton(AF_INET, address, $0.baseAddress) }) == 1 else { return nil }
        return mapped + four
    }
}
