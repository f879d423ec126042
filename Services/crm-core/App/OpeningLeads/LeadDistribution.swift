import Contracts
import Messaging
import Postgres
import Primitives

/// Gives leads that came while nobody was at work to those who are now, oldest first, in turn.
enum LeadDistribution {
    /// Leads read at a time.
    private static let round = 100

    static func run(in transaction: EventTransaction) async throws {
        while true {
            let waiting = try await transaction.query(
                """
                SELECT id FROM lead WHERE responsible_id IS NULL AND status = 'new'
                ORDER BY created_at LIMIT \(round) FOR UPDATE SKIP LOCKED
                """)
            for row in waiting {
                guard let responsible = try await Staff.nextResponsible(in: transaction) else { return }
                try await give(try row.id("id"), to: responsible.id, in: transaction)
            }
            if waiting.count < round { return }
        }
    }

    private static func give(_ id: ID, to responsible: ID, in transaction: EventTransaction) async throws {
        try await transaction.query(
            "UPDATE lead SET responsible_id = $2, updated_at = now(), version = version + 1 WHERE id = $1",
            [.id(id), .id(responsible)])
        // One that was ready has waited for its letter; another gets it once the talk is over.
        guard var lead = try await Lead.find(id: id, in: transaction), lead.isReady else { return }
        try lead.emit(lead.ready(), in: transaction)
    }
}
