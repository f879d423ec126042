import Contracts
import Messaging
import Postgres
import Primitives
import ServiceKit

/// Companies and contacts as people write them down.
struct Directory: Sendable {
    let runner: any StatementRunner

    struct CompanyBody: Decodable, Sendable { let name, inn, kpp, address: String? }
    struct ContactBody: Decodable, Sendable {
        let name, phone, email, role: String?
        let companyId: ID?
    }

    func addCompany(_ body: CompanyBody) async throws -> CompanyView {
        guard let name = body.name, !name.isEmpty, name.count <= 250 else {
            throw Problem.invalid("name has 1 to 250 characters")
        }
        try check(body)
        let id = ID.make()
        try await runner.query(
            "INSERT INTO company (id, name, inn, kpp, address) VALUES ($1, $2, $3, $4, $5)",
            [.id(id), .text(name), .text(body.inn), .text(body.kpp), .text(body.address)])
        return try await company(id)
    }

    /// Within a transaction, for what was there before is kept with it.
    func changeCompany(_ id: ID, _ body: CompanyBody, version: Int64?, by: String) async throws -> CompanyView {
        try check(body)
        let before = try await ClientRecord.find(id, in: runner)
        let wanted = [(ClientTruth.Field.name, body.name), (.inn, body.inn), (.kpp, body.kpp)]
        let changes = wanted.compactMap { field, value in
            value.flatMap { $0 == before?.values[field] ? nil : (field, $0) }
        }
        try await DataOwners(runner: runner).demandOurs(id, changes, before?.values[.name] ?? "")
        let changed = try await runner.query(
            """
            UPDATE company SET name = coalesce($2, name), inn = coalesce($3, inn), kpp = coalesce($4, kpp),
                address = coalesce($5, address) WHERE id = $1 AND version = $6
            """,
            [
                .id(id), .text(body.name), .text(body.inn), .text(body.kpp), .text(body.address),
                .int(version ?? -1),
            ]
        ).affected
        let now = try await company(id)
        guard changed == 1 else { throw staleVersion(now.version) }
        for (field, value) in changes {
            try await ClientRecord.note(
                id, field.rawValue, before?.values[field], value, source: "crm", by: by, in: runner)
        }
        return now
    }

    private func check(_ body: CompanyBody) throws {
        if let inn = body.inn, let problem = TaxNumber.problem(inn) { throw Problem.invalid("inn: \(problem)") }
        if let kpp = body.kpp, !isKPP(kpp) { throw Problem.invalid("kpp: a КПП has 9 characters") }
    }

    func company(_ id: ID) async throws -> CompanyView {
        guard let row = try await runner.query("\(CompanyView.select) WHERE id = $1", [.id(id)]).first else {
            throw Problem.notFound("company")
        }
        return try CompanyView(row)
    }

    func addContact(_ body: ContactBody) async throws -> ContactView {
        guard let name = body.name, !name.isEmpty, name.count <= 250 else {
            throw Problem.invalid("name has 1 to 250 characters")
        }
        let id = ID.make()
        try await runner.query(
            "INSERT INTO contact (id, name, phone, email, role, company_id) VALUES ($1, $2, $3, $4, $5, $6)",
            [
                .id(id), .text(name), .text(try phone(body)), .text(body.email), .text(body.role),
                .id(body.companyId),
            ])
        return try await contact(id)
    }

    /// Within a transaction, for what was there before is kept with it.
    func changeContact(_ id: ID, _ body: ContactBody, version: Int64?, by: String) async throws -> ContactView {
        let before = try await ClientRecord.find(id, in: runner)
        if let name = body.name, name != before?.values[.name] {
            try await DataOwners(runner: runner).demandOurs(id, [(.name, name)], before?.values[.name] ?? "")
        }
        let (was, wanted) = (try await contact(id).phone, try phone(body))
        let changed = try await runner.query(
            """
            UPDATE contact SET name = coalesce($2, name),
                phone_confirmed = phone_confirmed AND ($3::text IS NULL OR phone = $3),
                phone = coalesce($3, phone), email = coalesce($4, email), role = coalesce($5, role),
                company_id = coalesce($6, company_id)
            WHERE id = $1 AND version = $7
            """,
            [
                .id(id), .text(body.name), .text(wanted), .text(body.email),
                .text(body.role), .id(body.companyId), .int(version ?? -1),
            ]
        ).affected
        let now = try await contact(id)
        guard changed == 1 else { throw staleVersion(now.version) }
        if let name = body.name, name != before?.values[.name] {
            try await ClientRecord.note(id, "name", before?.values[.name], name, source: "crm", by: by, in: runner)
        }
        // Whose word the number is: what a person put right the client's next answer leaves alone.
        if let wanted, wanted != was {
            try await ClientRecord.note(id, "phone", was, wanted, source: "crm", by: by, in: runner)
        }
        return now
    }

    private func phone(_ body: ContactBody) throws -> String? {
        try body.phone.map { text in
            guard let phone = Phone(text) else { throw Problem.invalid("phone: no phone number") }
            return phone.e164
        }
    }

    /// - Parameter owner: the manager who asks, when he sees only his own.
    func contact(_ id: ID, owner: ID? = nil) async throws -> ContactView {
        let rows = try await runner.query(
            "\(ContactView.select) WHERE id = $1 AND \(ContactView.isSeen("$2"))", [.id(id), .id(owner)])
        guard let row = rows.first else {
            throw Problem.notFound("contact")
        }
        return try ContactView(row)
    }
}
