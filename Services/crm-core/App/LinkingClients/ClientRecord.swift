import Messaging
import Postgres
import Primitives

/// A client as cards of 1C are linked to him: a firm, or a person who buys for himself. The one place where his name and requisites are changed.
struct ClientRecord: Sendable {
    let id: ID
    let isCompany: Bool
    private(set) var values: [ClientTruth.Field: String]

    static func find(_ id: ID, in runner: any StatementRunner) async throws -> ClientRecord? {
        if let row = try await runner.query(
            "SELECT name, inn, kpp FROM company WHERE id = $1 FOR UPDATE", [.id(id)]
        ).first {
            var values: [ClientTruth.Field: String] = [.name: try row.string("name")]
            values[.inn] = try row.optionalString("inn")
            values[.kpp] = try row.optionalString("kpp")
            return ClientRecord(id: id, isCompany: true, values: values)
        }
        guard let row = try await runner.query("SELECT name FROM contact WHERE id = $1 FOR UPDATE", [.id(id)]).first
        else { return nil }
        var values: [ClientTruth.Field: String] = [:]
        values[.name] = try row.optionalString("name")
        return ClientRecord(id: id, isCompany: false, values: values)
    }

    func has(_ field: ClientTruth.Field) -> Bool { isCompany || field == .name }

    /// - Parameter source: `crm`, or the base.
    mutating func set(
        _ field: ClientTruth.Field, _ value: String?, source: String, by: String?, in runner: any StatementRunner
    ) async throws {
        guard has(field), values[field] != value else { return }
        let table = isCompany ? "company" : "contact"
        try await runner.query(
            "UPDATE \(table) SET \(field.rawValue) = $2 WHERE id = $1", [.id(id), .text(value)])
        try await Self.note(id, field.rawValue, values[field], value, source: source, by: by, in: runner)
        values[field] = value
    }

    static func note(
        _ id: ID, _ field: String, _ old: String?, _ new: String?, source: String, by: String?,
        in runner: any StatementRunner
    ) async throws {
        try await runner.query(
            """
            INSERT INTO client_change (id, client_id, field, old_value, new_value, source, by_whom)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            """, [.id(.make()), .id(id), .text(field), .text(old), .text(new), .text(source), .text(by)])
    }
}
