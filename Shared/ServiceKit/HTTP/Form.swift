import Glibc
import HTTPTypes
import Hummingbird
import Primitives

/// The fields of a submitted form, and its file if it carries one: `application/x-www-form-urlencoded` or `multipart/form-data`
/// (RFC 7578).
public struct Form: Sendable {
    public struct File: Sendable {
        public let name: String?
        public let bytes: [UInt8]
    }
    /// By name: the last of those that come twice.
    public private(set) var fields: [String: String] = [:]
    public private(set) var file: File?

    /// Bytes of a form without a file at most.
    public static let bodyLimit = 64 * 1024

    public init(_ request: Request) async throws {
        try self.init(request, body: try await request.bytes(limit: Self.bodyLimit))
    }

    /// - Parameter body: all of the request's body.
    public init(_ request: Request, body: [UInt8]) throws {
        let type = request.headers[.contentType] ?? ""
        if Self.isMultipart(type) {
            guard let boundary = Self.parameter("boundary", of: type), (1...70).contains(boundary.utf8.count) else {
                throw Problem.badRequest("multipart/form-data without a boundary")
            }
            readParts(body, boundary)
            return
        }
        for (name, value) in Self.pairs(String(decoding: body, as: UTF8.self)) {
            fields[Self.decode(name)] = Self.decode(value)
        }
    }

    private static func pairs(_ text: String) -> [(Substring, Substring)] {
        text.split(separator: "&").map { pair in
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (parts[0], parts.count > 1 ? parts[1] : "")
        }
    }

    /// The first value of a name in an encoded form, or in a query.
    static func value(_ name: String, in text: String) -> String? {
        pairs(text).first { decode($0.0) == name }.map { decode($0.1) }
    }

    public subscript(name: String) -> String? { fields[name] }

    /// A filled field; nil when it is empty or absent.
    public func filled(_ name: String) -> String? { fields[name].flatMap { $0.isEmpty ? nil : $0 } }

    /// A number as people type it: `1 500,50`.
    public func number(_ name: String) -> String {
        String((fields[name] ?? "").compactMap { $0.isWhitespace ? nil : $0 == "," ? "." : $0 })
    }

    public func money(_ name: String, _ currency: Currency) throws -> Money? {
        let text = number(name)
        if text.isEmpty { return nil }
        guard let money = Money(text, currency) else { throw Problem.invalid("сумма — число, например 45000,00") }
        return money
    }

    /// A file that a program posts as the body itself, or a browser in a form.
    public static func file(_ request: Request, body: [UInt8]) throws -> File {
        guard isMultipart(request.headers[.contentType] ?? "") else {
            return File(name: request.query("filename"), bytes: body)
        }
        guard let file = try Form(request, body: body).file else { throw Problem.badRequest("the form holds no file") }
        return file
    }

    // MARK: multipart/form-data

    private static func isMultipart(_ type: String) -> Bool { type.lowercased().hasPrefix("multipart/form-data") }

    private mutating func readParts(_ body: [UInt8], _ boundary: String) {
        let mark = Array("\r\n--\(boundary)".utf8)
        let blank = Array("\r\n\r\n".utf8)
        // The first boundary stands at the very beginning, without the line break of the others.
        let whole = Array("\r\n".utf8) + body
        var place = Self.find(mark, in: whole, from: 0)
        while let start = place {
            let content = start + mark.count
            guard let head = Self.find(blank, in: whole, from: content),
                let end = Self.find(mark, in: whole, from: head + blank.count)
            else { return }
            keepPart(String(decoding: whole[content..<head], as: UTF8.self), whole[(head + blank.count)..<end])
            place = end
        }
    }

    private mutating func keepPart(_ headers: String, _ bytes: ArraySlice<UInt8>) {
        let disposition = headers.split(whereSeparator: \.isNewline)
            .first { $0.lowercased().hasPrefix("content-disposition:") }.map(String.init)
        guard let disposition, let name = Self.parameter("name", of: disposition) else { return }
        if let filename = Self.parameter("filename", of: disposition) {
            if file == nil { file = File(name: filename, bytes: Array(bytes)) }
        } else if bytes.count <= Self.bodyLimit {
            fields[name] = String(decoding: bytes, as: UTF8.self)
        }
    }

    private static func find(_ pattern: [UInt8], in bytes: [UInt8], from start: Int) -> Int? {
        bytes.withUnsafeBytes { memory -> Int? in
            guard let base = memory.baseAddress else { return nil }
            var place = start
            while place + pattern.count <= memory.count,
                let hit = memchr(base + place, Int32(pattern[0]), memory.count - place - pattern.count + 1)
            {
                place = UnsafeRawPointer(hit) - base
                if memcmp(base + place, pattern, pattern.count) == 0 { return place }
                place += 1
            }
            return nil
        }
    }

    /// `name="value"` or `name=value` of a header.
    private static func parameter(_ name: String, of header: String) -> String? {
        for part in header.split(separator: ";").dropFirst() {
            let pair = part.split(separator: "=", maxSplits: 1)
            guard pair.count == 2, String(pair[0]).trimmed.lowercased() == name else { continue }
            let value = String(pair[1]).trimmed
            return value.hasPrefix("\"") && value.hasSuffix("\"") && value.count >= 2
                ? String(value.dropFirst().dropLast()) : value
        }
        return nil
    }

    /// A value as it stands in a query or a form.
    public static func encoded(_ text: String) -> String {
        text.utf8.map { byte in
            let isPlain = (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
            let hex = String(byte, radix: 16, uppercase: true)
            return isPlain ? String(UnicodeScalar(byte)) : "%" + (hex.count == 1 ? "0" : "") + hex
        }.joined()
    }

    private static func decode(_ text: Substring) -> String { decoded(text, plusIsBlank: true) }

    /// A part of a path, in which a plus is a plus.
    static func decoded(path text: Substring) -> String { decoded(text, plusIsBlank: false) }

    private static func decoded(_ text: Substring, plusIsBlank: Bool) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "+") where plusIsBlank: bytes.append(32)
            case UInt8(ascii: "%"):
                let pair = String(decoding: rest.prefix(2), as: UTF8.self)
                guard let value = UInt8(pair, radix: 16) else { continue }
                bytes.append(value)
                rest = rest.dropFirst(2)
            default: bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension HTTPField.Name {
    /// In which the workspace hands on the token that the forms of another service's pages must carry.
    public static let formToken = HTTPField.Name("X-Form-Token") ?? .cookie
}
