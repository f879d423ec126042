import Contracts
import Messaging
import Postgres
import Primitives

/// A talk's row, locked for this transaction, and the journey its words belong to.
struct Conversation: Sendable {
    let id: ID
    let connection: String
    let externalID: String
    let isTelegram: Bool
    var journeyID: ID
    var lastEvent: ID?
    var heldBy: String?
    var waitingSince: Timestamp?
    /// When the client's word that is being answered had arrived.
    var heardAt: Timestamp?
    /// This transaction opened the journey.
    var isNewJourney = false
    /// The questionnaire as it stood when the talk was opened here.
    var session: Row?

    /// Finds or makes the talk, and its open journey: a message joins the one that is open and only opens a new
    /// one when none is.
    static func open(
        connection: String, externalID: String, isTelegram: Bool, sender: Sender,
        attribution: Attribution?, reopens: Bool = true, in transaction: EventTransaction
    ) async throws -> Conversation {
        let fresh = ID.make()
        let journey = ID.make()
        let touch = try attribution.map { try JSON.text($0) }
        let open = Statement(
            """
            INSERT INTO conversation AS c
                (id, connection, external_id, is_telegram, sender, journey_id, first_touch, last_touch)
            VALUES ($1, $2, $3, $4, $5::jsonb, $6, $7::jsonb, $7::jsonb)
            ON CONFLICT ON CONSTRAINT conversation_once DO UPDATE SET
                sender = c.sender || excluded.sender, updated_at = now(),
                journey_id = CASE WHEN c.journey_open OR NOT $8 THEN c.journey_id ELSE excluded.journey_id END,
                last_event = CASE WHEN c.journey_open OR NOT $8 THEN c.last_event END,
                journey_open = c.journey_open OR $8,
                first_touch = coalesce(c.first_touch, excluded.first_touch),
                last_touch = coalesce(excluded.last_touch, c.last_touch)
            RETURNING \(columns)
            """,
            [
                .id(fresh), .text(connection), .text(externalID), .bool(isTelegram),
                .text(try JSON.text(sender)), .id(journey), .text(touch), .bool(reopens),
            ])
        let session = Statement(
            """
            SELECT \(FlowSession.columns) FROM flow_session WHERE conversation_id =
                (SELECT id FROM conversation WHERE connection = $1 AND external_id = $2)
            """, [.text(connection), .text(externalID)])
        let answers = try await transaction.run([open, session])
        var conversation = try read(answers[0][0])
        conversation.session = answers[1].first
        if conversation.journeyID == journey {
            conversation.isNewJourney = true
            conversation.lastEvent = try transaction.emit(
                JourneyOpened(
                    journeyId: journey, conversationId: conversation.id, channel: connection,
                    attribution: attribution, by: sender.name ?? "клиент"),
                key: conversation.id.description, correlation: journey, causation: nil)
        }
        return conversation
    }

    static func find(_ id: ID, in transaction: EventTransaction) async throws -> Conversation? {
        let answers = try await transaction.run([
            Statement("SELECT \(columns) FROM conversation WHERE id = $1 FOR UPDATE", [.id(id)]),
            Statement(
                "SELECT \(FlowSession.columns) FROM flow_session WHERE conversation_id = $1", [.id(id)]),
        ])
        guard var conversation = try answers[0].first.map({ try read($0) }) else { return nil }
        conversation.session = answers[1].first
        return conversation
    }

    private static let columns = """
        id, connection, external_id, is_telegram, journey_id, last_event, held_by, waiting_since
        """

    private static func read(_ row: Row) throws -> Conversation {
        Conversation(
            id: try row.id("id"), connection: try row.string("connection"),
            externalID: try row.string("external_id"), isTelegram: try row.bool("is_telegram"),
            journeyID: try row.id("journey_id"), lastEvent: try row.optionalID("last_event"),
            heldBy: try row.optionalString("held_by"),
            waitingSince: try row.optionalTime("waiting_since"))
    }

    /// Says something in this talk's name; the next event of the talk answers it.
    @discardableResult
    mutating func emit(_ data: some EventContract, in transaction: EventTransaction) throws -> ID {
        let id = try transaction.emit(
            data, key: self.id.description, correlation: journeyID, causation: lastEvent)
        lastEvent = id
        return id
    }

    func save(in transaction: EventTransaction) {
        transaction.write(
            """
            UPDATE conversation SET last_event = $2, held_by = $3, waiting_since = $4, updated_at = now()
            WHERE id = $1
            """, [.id(id), .id(lastEvent), .text(heldBy), .time(waitingSince)])
    }

    /// Writes down one message. False when the channel had told us of it before.
    func record(
        messageID: ID, direction: String, author: String, externalID: String?, text: String,
        state: String, at: Timestamp, in transaction: EventTransaction
    ) async throws -> Bool {
        try await transaction.query(
            """
            INSERT INTO message
                (id, conversation_id, journey_id, direction, author, external_id, text, state, sent_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            ON CONFLICT ON CONSTRAINT message_once DO NOTHING
            """,
            [
                .id(messageID), .id(id), .id(journeyID), .text(direction), .text(author),
                .text(externalID), .text(text.withoutNUL), .text(state), .time(at),
            ]
        ).affected == 1
    }
}
