import Primitives

/// The answer to one statement.
public struct Rows: Sendable, RandomAccessCollection {
    let columns: [String: Int]
    /// Row-major cells in PostgreSQL's text form, or all in its binary form; nil is NULL.
    let cells: [[UInt8]?]
    let isBinary: Bool
    public let count: Int
    /// Rows inserted, updated or deleted.
    public let affected: Int
    /// The server's word for what it did: `INSERT 0 1`, `COMMIT`, `ROLLBACK`.
    public let commandTag: String

    public var startIndex: Int { 0 }
    public var endIndex: Int { count }
    public subscript(position: Int) -> Row { Row(rows: self, position: position) }

    static let none = Rows(columns: [:], cells: [], isBinary: false, count: 0, affected: 0, commandTag: "")
}

/// One row; columns are read by name and type, and a mismatch is an error that names the column.
public struct Row: Sendable {
    let rows: Rows
    let position: Int

    private func cell(_ column: String) throws -> [UInt8]? {
        guard let index = rows.columns[column] else {
            throw PostgresError.decoding(column: column, wanted: "column of this query")
        }
        return rows.cells[position * rows.columns.count + index]
    }

    /// - Parameter binary: reads the binary form; nil where we do not read it.
    private func read<T>(
        _ column: String, _ wanted: String, binary: (([UInt8]) -> T?)? = nil, text parse: (String) -> T?
    ) throws -> T? {
        guard let cell = try cell(column) else { return nil }
        let value = rows.isBinary ? binary?(cell) : parse(String(decoding: cell, as: UTF8.self))
        guard let value else {
            throw PostgresError.decoding(column: column, wanted: wanted)
        }
        return value
    }

    private func required<T>(_ value: T?, _ column: String, _ wanted: String) throws -> T {
        guard let value else { throw PostgresError.decoding(column: column, wanted: wanted) }
        return value
    }

    public func optionalString(_ column: String) throws -> String? {
        try read(column, "text", binary: { String(decoding: $0, as: UTF8.self) }, text: { $0 })
    }
    public func string(_ column: String) throws -> String {
        try required(try optionalString(column), column, "text")
    }
    public func optionalInt(_ column: String) throws -> Int64? {
        try read(column, "integer", binary: Self.integer, text: { Int64($0) })
    }
    public func int(_ column: String) throws -> Int64 {
        try required(try optionalInt(column), column, "integer")
    }
    public func optionalDouble(_ column: String) throws -> Double? {
        try read(column, "number", text: { Double($0) })
    }
    public func optionalBool(_ column: String) throws -> Bool? {
        try read(
            column, "boolean", binary: { $0.first.map { $0 != 0 } },
            text: { $0 == "t" ? true : $0 == "f" ? false : nil })
    }
    public func bool(_ column: String) throws -> Bool {
        try required(try optionalBool(column), column, "boolean")
    }
    public func optionalID(_ column: String) throws -> ID? {
        try read(column, "uuid", binary: { ID(bytes: $0) }, text: { ID($0) })
    }
    public func id(_ column: String) throws -> ID {
        try required(try optionalID(column), column, "uuid")
    }
    public func optionalTime(_ column: String) throws -> Timestamp? {
        try read(column, "time", text: { Timestamp($0) })
    }
    public func time(_ column: String) throws -> Timestamp {
        try required(try optionalTime(column), column, "time")
    }
    public func optionalBytes(_ column: String) throws -> [UInt8]? {
        guard let cell = try cell(column) else { return nil }
        if rows.isBinary { return cell }
        guard let bytes = Self.unhex(cell) else {
            throw PostgresError.decoding(column: column, wanted: "bytea")
        }
        return bytes
    }

    /// smallint, integer or bigint, big-endian.
    private static func integer(_ bytes: [UInt8]) -> Int64? {
        guard [2, 4, 8].contains(bytes.count) else { return nil }
        let sign: Int64 = bytes[0] & 0x80 == 0 ? 0 : -1
        return bytes.reduce(sign) { $0 << 8 | Int64($1) }
    }

    public func bytes(_ column: String) throws -> [UInt8] {
        try required(try optionalBytes(column), column, "bytea")
    }
    /// A one-dimensional array of things without commas, quotes or braces (`bigint[]`, `uuid[]`).
    public func list(_ column: String) throws -> [String] {
        let text = try string(column)
        let inner = text.dropFirst().dropLast()
        return inner.isEmpty ? [] : inner.split(separator: ",").map(String.init)
    }

    /// bytea's text form: `\x` and two hexadecimal digits a byte.
    private static func unhex(_ cell: [UInt8]) -> [UInt8]? {
        guard cell.count >= 2, cell.count % 2 == 0, cell[0] == 92, cell[1] == 120 else { return nil }
        func digit(_ byte: UInt8) -> UInt8 { byte < 58 ? byte &- 48 : byte &- 87 }
        return [UInt8](unsafeUninitializedCapacity: cell.count / 2 - 1) { out, count in
            var index = 2
            while index < cell.count {
                out[count] = digit(cell[index]) << 4 | digit(cell[index + 1])
                count += 1
                index += 2
            }
        }
    }
}
