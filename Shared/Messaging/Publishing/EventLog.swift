import Postgres
import Sodium

/// The append-only log of a service's own events.
enum EventLog {
    static func append(_ drafts: [EventDraft]) -> Statement {
        let first = drafts[0]
        let columns: [Parameter] = [
            .texts(drafts.map(\.key)), .ids(drafts.map(\.id)), .ids(drafts.map(\.correlation)),
            .ids(drafts.map(\.causation)), .times(drafts.map(\.at)), .byteArrays(drafts.map { sha256($0.body) }),
            .byteArrays(drafts.map(\.body)),
        ]
        guard drafts.contains(where: { $0.stream != first.stream || $0.lane != first.lane || $0.type != first.type })
        else {
            // A mass is of one kind: what all have in common is said once.
            return Statement(
                """
                INSERT INTO event (stream, lane, type, key, event_id, correlation, causation, at, digest, body)
                SELECT $1, $2, $3, * FROM unnest($4::text[], $5::uuid[], $6::uuid[], $7::uuid[], $8::timestamptz[],
                    $9::bytea[], $10::bytea[])
                """, [.text(first.stream), .text(first.lane.rawValue), .text(first.type)] + columns)
        }
        return Statement(
            """
            INSERT INTO event (stream, lane, type, key, event_id, correlation, causation, at, digest, body)
            SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::uuid[], $7::uuid[],
                $8::timestamptz[], $9::bytea[], $10::bytea[])
            """,
            [.texts(drafts.map(\.stream)), .texts(drafts.map(\.lane.rawValue)), .texts(drafts.map(\.type))] + columns)
    }
}
