import Messaging
import Postgres
import Primitives
import ServiceKit

/// Ends questionnaires whose client went silent: what he said stays, and the lead goes on without the rest.
struct AbandonedTalks: Sendable {
    let bus: EventBus

    func run() async throws {
        while !Task.isCancelled {
            if bus.missing == nil { while try await abandonSome() {} }
            try await Task.sleep(for: .seconds(1))
        }
    }

    private func abandonSome() async throws -> Bool {
        try await bus.transaction { transaction in
            let rows = try await transaction.query(
                """
                SELECT conversation_id, flow::text AS flow FROM flow_session
                WHERE state = 'open'
                    AND touched_at + make_interval(secs => (flow ->> 'abandonAfter')::int) < now()
                ORDER BY touched_at LIMIT 20
                """)
            for row in rows {
                guard
                    var conversation = try await Conversation.find(
                        try row.id("conversation_id"), in: transaction)
                else { continue }
                var talk = try FlowSession.load(conversation, flow: .lead)
                let actions = talk.abandon()
                try FlowSession.save(talk, conversation, in: transaction)
                try FlowSession.perform(
                    actions, talk, &conversation, senderName: nil, in: transaction)
                conversation.save(in: transaction)
            }
            return rows.count == 20
        }
    }
}
