import Contracts
import Messaging
import Postgres
import Primitives

/// Writes down, as one line per journey, everything that all services say.
struct JourneyProjection: Sendable {
    let live: LivePages

    /// Adds the projection to what is done with a publisher's events.
    func add(to handlers: inout EventHandlers) {
        handlers.onEvery { event, transaction in
            guard let journey = event.correlation else { return }
            let data = (try? JSON.decode(Enclosed.self, from: event.bytes))?.data ?? .null
            let step = StepWords(type: event.type, data: data)
            transaction.write(
                """
                INSERT INTO journey_step
                    (id, journey_id, at, service, kind, summary, summary_en, ref, caused_by, by_whom)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING
                """,
                [
                    .id(event.id), .id(journey), .time(event.at), .text(event.source),
                    .text(step.kind), .text(step.text(.ru)), .text(step.text(.en)), .text(step.ref),
                    .id(event.causation),
                    .text(data["by"]?.stringValue),
                ])
            transaction.afterCommit { live.changed(journey) }
        }
    }

    private struct Enclosed: Decodable { let data: RawJSON }
}
