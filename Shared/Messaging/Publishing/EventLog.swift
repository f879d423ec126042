import Postgres
import Sodium

/// The append-only log of a service's own events.
enum EventLog {
    static func append(_ drafts: [EventDraft]) -> Statement {
        Statement(
            """
            INSERT INTO event (stream, lane, key, type, event_id, correlation, causation, at, digest, body)
            SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::uuid[],
                $6::uuid[], $7::uuid[], $8::timestamptz[], $9::bytea[],
                $10::bytea[])
            """,
            [
                .texts(drafts.map(\.stream)), .texts(drafts.map(\.lane.rawValue)),
                .texts(drafts.map(\.key)), .texts(drafts.map(\.type)), .ids(drafts.map(\.id)),
                .ids(drafts.map(\.correlation)), .ids(drafts.map(\.causation)),
                .times(drafts.map(\.at)), .byteArrays(drafts.map { sha256($0.body) }),
                .byteArrays(drafts.map(\.body)),
            ])
    }
}
