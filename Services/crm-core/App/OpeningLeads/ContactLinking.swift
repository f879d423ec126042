import Messaging
import Postgres
import Primitives

/// A phone that the platform confirms links a talk to the contact who has it; a typed one only proposes: a
/// switchboard is not a person, and a stranger can type anybody's number.
enum ContactLinking {
    static func learn(
        _ phone: String, confirmed: Bool, _ lead: Lead, in transaction: EventTransaction
    ) async throws {
        guard confirmed else { return try await propose(phone, lead, in: transaction) }
        let known = try await transaction.query(
            """
            SELECT id FROM contact WHERE phone = $1 AND phone_confirmed AND merged_into IS NULL AND id <> $2
            ORDER BY created_at LIMIT 1
            """, [.text(phone), .id(lead.contactID)]
        ).first
        guard let known = try known?.id("id") else {
            try await transaction.query(
                "UPDATE contact SET phone = $2, phone_confirmed = true WHERE id = $1",
                [.id(lead.contactID), .text(phone)])
            return
        }
        try await transaction.run([
            Statement(
                "UPDATE lead SET contact_id = $2 WHERE id = $1", [.id(lead.id), .id(known)]),
            Statement(
                "UPDATE contact_identity SET contact_id = $2 WHERE contact_id = $1",
                [.id(lead.contactID), .id(known)]),
            Statement(
                "UPDATE journey SET contact_id = $2 WHERE id = $1", [.id(lead.journeyID), .id(known)]),
            Statement(
                "UPDATE contact SET merged_into = $2 WHERE id = $1", [.id(lead.contactID), .id(known)]),
        ])
    }

    private static func propose(
        _ phone: String, _ lead: Lead, in transaction: EventTransaction
    ) async throws {
        try await transaction.run([
            Statement(
                """
                UPDATE contact AS c SET phone = $2 WHERE id = $1 AND NOT phone_confirmed
                    -- What he said himself he may say otherwise; what a person has put right stays.
                    AND (SELECT h.source FROM client_change AS h WHERE h.client_id = c.id AND h.field = 'phone' ORDER BY h.id DESC LIMIT 1)
                        IS DISTINCT FROM 'crm'
                    AND (phone IS NULL OR phone = $3 OR EXISTS (
                        SELECT 1 FROM lead AS l WHERE l.contact_id = c.id AND l.phone = c.phone))
                """, [.id(lead.contactID), .text(phone), .text(lead.phone)]),
            Statement(
                """
                INSERT INTO link_candidate (contact_id, other_id, reason)
                SELECT $1, id, 'названный номер ' || $2 FROM contact
                WHERE phone = $2 AND id <> $1 AND merged_into IS NULL LIMIT 20
                ON CONFLICT DO NOTHING
                """, [.id(lead.contactID), .text(phone)]),
        ])
    }
}
