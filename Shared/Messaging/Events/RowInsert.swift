import Postgres
import Primitives

/// An insert that many events of a batch make alike: their rows travel as one statement, whatever their number.
///
/// Rows are written in the order they were added, before the next statement that is waited for and at the latest with the commit.
public struct RowInsert: Hashable, Sendable {
    public enum Column: String, Sendable {
        case int = "bigint"
        case text
        case id = "uuid"
        case time = "timestamptz"
        case bytes = "bytea"
    }
    let sql: String
    let columns: [Column]

    /// - Parameters:
    ///   - columns: names with the kinds of their values.
    ///   - conflict: what follows `ON CONFLICT`, such as `DO NOTHING`.
    public init(into table: String, _ columns: KeyValuePairs<String, Column>, onConflict conflict: String? = nil) {
        let arrays = columns.enumerated().map { "$\($0.offset + 1)::\($0.element.value.rawValue)[]" }
        sql = """
            INSERT INTO \(table) (\(columns.map(\.key).joined(separator: ", ")))
            SELECT * FROM unnest(\(arrays.joined(separator: ", "))) \(conflict.map { "ON CONFLICT \($0)" } ?? "")
            """
        self.columns = columns.map(\.value)
    }

    func statement(_ rows: [[RowValue]]) -> Statement {
        Statement(
            sql,
            columns.indices.map { index in
                switch columns[index] {
                case .int: .ints(rows.map { $0[index].int })
                case .text: .texts(rows.map { $0[index].text })
                case .id: .ids(rows.map { $0[index].id })
                case .time: .times(rows.map { $0[index].time })
                case .bytes: .byteArrays(rows.map { $0[index].bytes })
                }
            })
    }
}

/// A value of a row; nil is NULL.
public enum RowValue: Sendable {
    case int(Int64?)
    case text(String?)
    case id(ID?)
    case time(Timestamp?)
    case bytes([UInt8]?)

    var int: Int64? { if case .int(let value) = self { value } else { nil } }
    var text: String? { if case .text(let value) = self { value } else { nil } }
    var id: ID? { if case .id(let value) = self { value } else { nil } }
    var time: Timestamp? { if case .time(let value) = self { value } else { nil } }
    var bytes: [UInt8]? { if case .bytes(let value) = self { value } else { nil } }
}
