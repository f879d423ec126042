import Archive
import Contracts
import FoundationEssentials
import Glibc
import Postgres
import Primitives
import XMLStream

/// Files of 1C's as they arrive: in pieces under one name, perhaps several XML files in one archive (reference 27–31). The bytes stand in the
/// journal alone; here is which pieces make a file, and what has become of it.
struct ReceivedFiles: Sendable {
    let pool: PostgresPool

    /// A file of a session, perhaps within an archive of it.
    struct Place: Sendable, Hashable {
        let session: ID
        let filename: String
        var archive: String?

        /// What was sent: the archive, or the file itself.
        var sent: String { archive ?? filename }
    }

    /// Bytes of one file, and its pieces, at most.
    static let sizeLimit: Int64 = 4 * 1024 * 1024 * 1024
    static let pieceLimit = 10_000
    /// Bytes that a reader is fed at a time.
    static let step = 64 * 1024

    /// The next piece of a file: the exchange that brought it holds its bytes. The same bytes once more are the same piece: УНФ repeats a
    /// request that it had no answer to (reference 25).
    ///
    /// - Parameter isOrders: a file of orders is read as it comes, and by itself when that is cut off.
    /// - Throws: ``XMLRefusal`` when the file would be too large.
    func add(
        _ size: Int, _ filename: String, session: ID, exchange: ID, isOrders: Bool = false
    ) async throws {
        let piece = Statement(
            """
            INSERT INTO file_piece (session, filename, position, exchange_id, size)
            SELECT $1, $2, count(*), $3, $4::int FROM file_piece WHERE session = $1 AND filename = $2
            HAVING count(*) < \(Self.pieceLimit) AND coalesce(sum(size), 0) + $4::int <= \(Self.sizeLimit)
                AND NOT EXISTS (\(Self.lastPiece) AND $4::int >= \(Self.repeatable) AND p.size = $4::int AND e.request = (SELECT request FROM exchange WHERE id = $3))
            """, [.id(session), .text(filename), .id(exchange), .int(size)])
        let place = Place(session: session, filename: filename)
        let added = try await pool.run([piece] + (isOrders ? [noting(place, "unread")] : []))[0].affected
        guard added == 0 else { return }
        let isRepeated = try await !pool.query(
            "\(Self.lastPiece) AND p.size >= \(Self.repeatable) AND e.request = (SELECT request FROM exchange WHERE id = $3)",
            [.id(session), .text(filename), .id(exchange)]
        ).isEmpty
        guard isRepeated else {
            throw XMLRefusal(
                reason: "файл «\(filename)» больше \(Self.sizeLimit) байт или из более чем \(Self.pieceLimit) частей",
                isIncomplete: false)
        }
    }

    /// Somebody is at work on it.
    func touch(_ place: Place) async throws {
        try await pool.query(
            "UPDATE onec_file SET touched_at = now() WHERE session = $1 AND filename = $2",
            [.id(place.session), .text(place.filename)])
    }

    /// Bytes from which on two equal pieces, one behind the other, are one that was sent twice.
    private static let repeatable = 512

    /// The piece of a file that came last.
    private static let lastPiece = """
        SELECT 1 AS one FROM (SELECT exchange_id, size FROM file_piece WHERE session = $1 AND filename = $2
            ORDER BY position DESC LIMIT 1) AS p JOIN exchange AS e ON e.id = p.exchange_id WHERE true
        """

    /// Where the file of that name is: sent by itself, or within an archive of the session, which must then be looked into.
    func find(_ filename: String, session: ID) async throws -> Place? {
        let rows = try await pool.query(
            """
            SELECT p.filename, p.filename = $2 AS is_it FROM file_piece p JOIN exchange e ON e.id = p.exchange_id
            WHERE p.session = $1 AND p.position = 0
                AND (p.filename = $2 OR substring(e.request FROM 1 FOR 2) = '\\x504b'::bytea)
            ORDER BY is_it DESC, p.filename DESC LIMIT 1
            """, [.id(session), .text(filename)])
        guard let row = rows.first else { return nil }
        return Place(
            session: session, filename: filename, archive: try row.bool("is_it") ? nil : try row.string("filename"))
    }

    /// When its first piece came.
    func sentAt(_ place: Place) async throws -> Timestamp {
        try await pool.query(
            """
            SELECT e.at FROM file_piece p JOIN exchange e ON e.id = p.exchange_id
            WHERE p.session = $1 AND p.filename = $2 AND p.position = 0
            """, [.id(place.session), .text(place.sent)]
        ).first?.time("at") ?? .now()
    }

    /// Whether what was sent under the name is an archive, by its first bytes.
    func startsAsArchive(_ place: Place) async throws -> Bool {
        try await pool.query(
            """
            SELECT 1 AS one FROM file_piece p JOIN exchange e ON e.id = p.exchange_id
            WHERE p.session = $1 AND p.filename = $2 AND p.position = 0
                AND substring(e.request FROM 1 FOR 2) = '\\x504b'::bytea
            """, [.id(place.session), .text(place.sent)]
        ).first != nil
    }

    /// The bytes of a file, a step at a time. For a file in an archive: those of the entry of its name.
    ///
    /// - Parameter take: takes the next bytes.
    /// - Throws: ``XMLRefusal``, also for what is wrong with the archive.
    func read(_ place: Place, _ take: ([UInt8]) async throws -> Void) async throws {
        guard place.archive != nil else {
            try await pieces(place) { piece in
                for part in piece.parts(of: Self.step) { try await take(part) }
            }
            return
        }
        var found = false
        try await entries(of: place) { name, next in
            guard !found, Self.isSame(name, place.filename) else { return }
            found = true
            while true {
                let bytes = try next()
                if bytes.isEmpty { return }
                try await take(bytes)
            }
        }
        guard found else {
            throw XMLRefusal(reason: "в архиве «\(place.sent)» нет файла «\(place.filename)»", isIncomplete: false)
        }
    }

    /// Every file of an archive: its name, and a function that gives its next bytes.
    func entries(
        of place: Place, _ take: (String, () throws -> [UInt8]) async throws -> Void
    ) async throws {
        let path = try await spool(place)
        do {
            let archive: ArchiveReader
            do {
                defer { try? FileManager.default.removeItem(atPath: path) }
                archive = try ArchiveReader(file: path)
            }
            while let name = try archive.next() { try await take(name, { try archive.read(Self.step) }) }
        } catch let refusal as ArchiveRefusal {
            throw XMLRefusal(reason: refusal.reason, isIncomplete: true)
        }
    }

    /// Archives are read from a file, which goes once it is open.
    private func spool(_ place: Place) async throws -> String {
        let path = FileManager.default.temporaryDirectory.path + "/throughline-\(ID.make()).zip"
        guard FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o600]),
            let file = SpoolFile(path)
        else { throw XMLRefusal(reason: "архив негде распаковать: \(path)", isIncomplete: false) }
        do {
            try await pieces(place) { try file.write($0) }
        } catch {
            try? FileManager.default.removeItem(atPath: path)
            throw error
        }
        return path
    }

    private func pieces(_ place: Place, _ take: ([UInt8]) async throws -> Void) async throws {
        var position = 0
        while true {
            var statement = Statement(
                """
                SELECT e.request FROM file_piece p JOIN exchange e ON e.id = p.exchange_id
                WHERE p.session = $1 AND p.filename = $2 AND p.position = $3
                """, [.id(place.session), .text(place.sent), .int(position)])
            statement.isAnsweredInBinary = true
            guard let row = try await pool.run([statement])[0].first else { break }
            try await take(try row.bytes("request"))
            position += 1
        }
        if position == 0 {
            throw XMLRefusal(reason: "файл «\(place.sent)» не был передан", isIncomplete: false)
        }
    }

    /// Archives hold relative paths; 1C imports by them, or by the name alone.
    private static func isSame(_ entry: String, _ wanted: String) -> Bool {
        let entry = entry.replacing("\\", with: "/")
        return entry == wanted || entry.split(separator: "/").last.map(String.init) == wanted
    }

    // MARK: what has become of it

    func note(_ place: Place, _ state: String, _ reason: String? = nil, understood: [String] = []) async throws {
        try await pool.run([noting(place, state, reason, understood: understood)])
    }

    func noting(_ place: Place, _ state: String, _ reason: String? = nil, understood: [String] = []) -> Statement {
        Statement(
            """
            INSERT INTO onec_file (session, filename, state, reason, archive, understood)
            VALUES ($1, $2, $3, $4, $5, $6::jsonb)
            ON CONFLICT (session, filename) DO UPDATE SET state = excluded.state, reason = excluded.reason,
                archive = excluded.archive, understood = excluded.understood, touched_at = now()
            """,
            [
                .id(place.session), .text(place.filename), .text(state), .text(reason), .text(place.archive),
                .text((try? JSON.text(understood)) ?? "[]"),
            ])
    }
}

/// A file that is written once from beginning to end.
private final class SpoolFile {
    private let descriptor: Int32

    init?(_ path: String) {
        descriptor = open(path, O_WRONLY | O_CLOEXEC)
        if descriptor < 0 { return nil }
    }

    deinit { close(descriptor) }

    func write(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard written > 0 else {
                throw XMLRefusal(reason: "на диске нет места, чтобы распаковать архив", isIncomplete: false)
            }
            rest = rest.dropFirst(written)
        }
    }
}
