import Glibc

/// The text of a file that another program wrote. A header's word for the encoding is not to be believed (reference c.18): files that
/// say `Windows` come in UTF-8, and `DOS` ones in windows-1251; the bytes decide.
struct ForeignText: Sendable {
    enum Encoding: String, Sendable {
        case utf8 = "UTF-8"
        case windows1251 = "windows-1251"
        case cp866 = "cp866"
    }
    let text: String
    let encoding: Encoding

    init(_ bytes: [UInt8]) {
        let body = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes.dropFirst(3)) : bytes
        if let text = String(validating: body, as: UTF8.self) {
            (self.text, encoding) = (text, .utf8)
            return
        }
        encoding = Self.isCP866(body) ? .cp866 : .windows1251
        text = Self.convert(body, from: encoding) ?? String(decoding: body, as: UTF8.self)
    }

    /// Without a character of UTF-8 that the cut went through.
    static func wholeCharacters(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var end = bytes.endIndex
        while end > bytes.startIndex, bytes.endIndex - end < 3, bytes[end - 1] & 0xC0 == 0x80 { end -= 1 }
        return Array(end > bytes.startIndex && bytes[end - 1] >= 0xC0 ? bytes[..<(end - 1)] : bytes[..<end])
    }

    /// In cp866 Cyrillic letters lie in 80–AF and E0–F1, in windows-1251 in C0–FF: words of one read as the other have
    /// their letters where the other keeps signs. B0–DF are frames in cp866 and letters in windows-1251.
    private static func isCP866(_ bytes: [UInt8]) -> Bool {
        var (dos, windows) = (0, 0)
        for byte in bytes {
            switch byte {
            case 0x80...0xAF: dos += 1
            case 0xC0...0xDF: windows += 1
            default: break
            }
        }
        return dos > windows
    }

    private static func convert(_ bytes: [UInt8], from encoding: Encoding) -> String? {
        let converter = iconv_open("UTF-8//TRANSLIT", encoding == .cp866 ? "CP866" : "CP1251")
        guard let converter, Int(bitPattern: converter) != -1 else { return nil }
        defer { iconv_close(converter) }
        var input = bytes.map { CChar(bitPattern: $0) }
        // A byte of these encodings becomes three bytes of UTF-8 at most.
        let room = bytes.count * 3 + 4
        let output = [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
            input.withUnsafeMutableBufferPointer { input in
                var (from, left) = (input.baseAddress, input.count)
                buffer.withMemoryRebound(to: CChar.self) { output in
                    var (to, free) = (output.baseAddress, output.count)
                    while left > 0, iconv(converter, &from, &left, &to, &free) == -1, free >= 3 {
                        // 0x98 of windows-1251 means nothing: it is shown as unreadable, and reading goes on.
                        from = from.map { $0 + 1 }
                        left -= 1
                        for byte in [UInt8]([0xEF, 0xBF, 0xBD]) {
                            to?.pointee = CChar(bitPattern: byte)
                            to = to.map { $0 + 1 }
                            free -= 1
                        }
                    }
                    count = output.count - free
                }
            }
        }
        return String(decoding: output, as: UTF8.self)
    }
}
