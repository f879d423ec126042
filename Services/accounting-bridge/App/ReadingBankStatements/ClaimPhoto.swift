import ServiceKit

/// A photo or scan of a payment order, as the client sent it.
struct ClaimPhoto: Sendable {
    let bytes: [UInt8]
    /// By its first bytes: what a file is called says nothing.
    let type: String

    /// Bytes at most.
    static let sizeLimit = 8 * 1024 * 1024

    /// - Throws: ``Problem`` when it is no picture and no PDF, or too large.
    init(_ bytes: [UInt8]) throws {
        guard bytes.count <= Self.sizeLimit else { throw Problem.tooLarge(limit: Self.sizeLimit) }
        let kinds: [(place: Int, magic: [UInt8], type: String)] = [
            (0, [0xFF, 0xD8, 0xFF], "image/jpeg"), (0, [0x89, 0x50, 0x4E, 0x47], "image/png"),
            (0, Array("%PDF-".utf8), "application/pdf"), (8, Array("WEBP".utf8), "image/webp"),
            (4, Array("ftyphei".utf8), "image/heic"),
        ]
        guard let kind = kinds.first(where: { bytes.dropFirst($0.place).starts(with: $0.magic) }) else {
            throw Problem.invalid("фото платёжки — JPEG, PNG, WebP, HEIC или PDF")
        }
        (self.bytes, type) = (bytes, kind.type)
    }
}
