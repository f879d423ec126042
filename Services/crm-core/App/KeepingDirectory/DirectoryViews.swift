import Postgres
import Primitives
import ServiceKit

/// A person as the API shows him.
struct ContactView: AnswerShape {
    let id: ID
    let number: Int64
    let name, phone: String?
    let phoneConfirmed: Bool
    let email, role: String?
    let companyId, mergedInto: ID?
    let createdAt, updatedAt: Timestamp
    let version: Int64

    static let select = """
        SELECT id, number, name, phone, phone_confirmed, email, role, company_id, merged_into, created_at, updated_at,
            version FROM contact
        """

    /// Whom a manager sees: his own clients, and those who are nobody's; one that was found to be another is that other's. `owner` is the
    /// place of his id, which is NULL for who sees all.
    static func isSeen(_ owner: String) -> String {
        """
        (\(owner)::uuid IS NULL
            OR EXISTS (SELECT 1 FROM lead AS l WHERE l.contact_id = coalesce(contact.merged_into, contact.id)
                AND (l.responsible_id = \(owner) OR l.responsible_id IS NULL))
            OR NOT EXISTS (SELECT 1 FROM lead AS l WHERE l.contact_id = coalesce(contact.merged_into, contact.id))
            OR company_id IN (SELECT d.company_id FROM deal AS d WHERE d.responsible_id = \(owner)))
        """
    }

    init(_ row: Row) throws {
        id = try row.id("id")
        number = try row.int("number")
        name = try row.optionalString("name")
        phone = try row.optionalString("phone")
        phoneConfirmed = try row.bool("phone_confirmed")
        email = try row.optionalString("email")
        role = try row.optionalString("role")
        companyId = try row.optionalID("company_id")
        mergedInto = try row.optionalID("merged_into")
        createdAt = try row.time("created_at")
        updatedAt = try row.time("updated_at")
        version = try row.int("version")
    }
}

/// A firm as the API shows it.
struct CompanyView: AnswerShape {
    let id: ID
    let number: Int64
    let name: String
    let inn, kpp, address: String?
    let createdAt, updatedAt: Timestamp
    let version: Int64

    static let select = "SELECT id, number, name, inn, kpp, address, created_at, updated_at, version FROM company"

    init(_ row: Row) throws {
        id = try row.id("id")
        number = try row.int("number")
        name = try row.string("name")
        inn = try row.optionalString("inn")
        kpp = try row.optionalString("kpp")
        address = try row.optionalString("address")
        createdAt = try row.time("created_at")
        updatedAt = try row.time("updated_at")
        version = try row.int("version")
    }
}
