internal import CArchive

/// Why an archive cannot be read.
public struct ArchiveRefusal: Error {
    public let reason: String
}

/// Reads a zip archive from a file, entry by entry and piece by piece, through libarchive: never a whole entry in memory. The size that an
/// archive claims is not believed; what comes out is counted.
public final class ArchiveReader {
    private let archive: OpaquePointer
    private var entries = 0
    private var unpacked = 0

    /// Entries of one archive, and bytes of all of them, at most.
    public static let entryLimit = 20_000
    public static let unpackedLimit = 4 * 1024 * 1024 * 1024

    public init(file: String) throws {
        guard let archive = archive_read_new() else { throw ArchiveRefusal(reason: "нет памяти") }
        self.archive = archive
        archive_read_support_format_zip(archive)
        guard archive_read_open_filename(archive, file, 64 * 1024) == ARCHIVE_OK else {
            let reason = Self.words(archive)
            archive_read_free(archive)
            throw ArchiveRefusal(reason: "архив не открывается: \(reason)")
        }
    }

    deinit { archive_read_free(archive) }

    /// Goes to the next file. Its name as it stands in the archive; nil at the end.
    public func next() throws -> String? {
        var entry: OpaquePointer?
        while true {
            switch archive_read_next_header(archive, &entry) {
            case ARCHIVE_EOF: return nil
            case ARCHIVE_OK, ARCHIVE_WARN: break
            default: throw refusal()
            }
            entries += 1
            guard entries <= Self.entryLimit else {
                throw ArchiveRefusal(reason: "в архиве больше \(Self.entryLimit) файлов")
            }
            guard archive_entry_is_encrypted(entry) == 0 else { throw ArchiveRefusal(reason: "архив закрыт паролем") }
            // A name that the locale cannot write is asked for in UTF-8; one without any is nobody's.
            guard let name = archive_entry_pathname(entry) ?? archive_entry_pathname_utf8(entry) else { continue }
            let text = String(cString: name)
            if !text.hasSuffix("/") { return text }
        }
    }

    /// The next bytes of the file, at most `limit`; empty at its end.
    public func read(_ limit: Int) throws -> [UInt8] {
        var result = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            result = archive_read_data(archive, buffer.baseAddress, limit)
            count = max(0, result)
        }
        guard result >= 0 else { throw refusal() }
        unpacked += result
        guard unpacked <= Self.unpackedLimit else {
            throw ArchiveRefusal(reason: "архив распаковывается больше чем в \(Self.unpackedLimit) байт")
        }
        return bytes
    }

    private func refusal() -> ArchiveRefusal {
        ArchiveRefusal(reason: "архив повреждён или не дошёл целиком: \(Self.words(archive))")
    }

    private static func words(_ archive: OpaquePointer) -> String {
        archive_error_string(archive).map { String(cString: $0) } ?? "причина неизвестна"
    }
}
