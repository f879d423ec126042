-- The bus's tables, the same in every service's own schema.

-- What this service says. Insert-only; a day is a partition and is dropped whole.
CREATE TABLE event (
    id bigint GENERATED ALWAYS AS IDENTITY,
    day date NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')::date,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    stream text NOT NULL,
    lane text NOT NULL,
    key text NOT NULL,
    type text NOT NULL,
    event_id uuid NOT NULL,
    correlation uuid,
    causation uuid,
    at timestamptz NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    body bytea NOT NULL,
    PRIMARY KEY (day, id)
) PARTITION BY RANGE (day);
CREATE INDEX event_by_transaction ON event (stream, lane, xid);

-- The number and chain link that the stamper gave each event.
CREATE TABLE event_no (
    day date NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')::date,
    stream text NOT NULL,
    lane text NOT NULL,
    seq bigint NOT NULL,
    event_day date NOT NULL,
    event_id bigint NOT NULL,
    link bytea NOT NULL CHECK (octet_length(link) = 16),
    PRIMARY KEY (day, stream, lane, seq)
) PARTITION BY RANGE (day);

-- Which numbers were given on which day: keeps page reads to the right partitions.
CREATE TABLE day_range (
    stream text NOT NULL,
    lane text NOT NULL,
    day date NOT NULL,
    first bigint NOT NULL,
    last bigint NOT NULL,
    PRIMARY KEY (stream, lane, day)
);

-- One row per sequence. `snapshot` is what had been looked at; a new head starts at 1:1:, for NULL would
-- lose rows in silence. `target` and `last_id` are set while a large tick is under way.
CREATE TABLE stream_head (
    stream text NOT NULL,
    lane text NOT NULL,
    epoch bigint NOT NULL DEFAULT 1,
    term bigint NOT NULL DEFAULT 0,
    seq bigint NOT NULL DEFAULT 0,
    link bytea NOT NULL DEFAULT '\x00000000000000000000000000000000',
    snapshot pg_snapshot NOT NULL DEFAULT '1:1:',
    target pg_snapshot,
    last_id bigint NOT NULL DEFAULT 0,
    ticked_day date NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')::date,
    PRIMARY KEY (stream, lane)
) WITH (fillfactor = 20);

-- How far this service has taken what others say. Moves in the transaction of its effects.
CREATE TABLE subscription_cursor (
    publisher text NOT NULL,
    stream text NOT NULL,
    lane text NOT NULL,
    epoch bigint NOT NULL DEFAULT 0,
    seq bigint NOT NULL DEFAULT 0,
    link bytea NOT NULL DEFAULT '\x00000000000000000000000000000000',
    moved_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (publisher, stream, lane)
) WITH (fillfactor = 20);

-- Copies of what was taken: for reading back, for healing a publisher that lost its tail.
CREATE TABLE inbox (
    day date NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')::date,
    publisher text NOT NULL,
    stream text NOT NULL,
    lane text NOT NULL,
    seq bigint NOT NULL,
    event_id uuid NOT NULL,
    type text NOT NULL,
    at timestamptz NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (day, publisher, stream, lane, seq)
) PARTITION BY RANGE (day);

-- Events set aside: what could not be done, and what waits behind it.
CREATE TABLE parked (
    id uuid PRIMARY KEY,
    publisher text NOT NULL,
    stream text NOT NULL,
    lane text NOT NULL,
    seq bigint NOT NULL,
    type text NOT NULL,
    key text NOT NULL,
    correlation uuid,
    reason text NOT NULL,
    attempts int NOT NULL,
    behind boolean NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT now(),
    body bytea NOT NULL,
    CONSTRAINT parked_once UNIQUE (publisher, stream, lane, seq)
);
CREATE TABLE blocked_key (
    publisher text NOT NULL,
    stream text NOT NULL,
    lane text NOT NULL,
    key text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (publisher, stream, lane, key)
);

-- Makes the partitions of today and the two days ahead (yesterday's too, for clocks that differ).
CREATE FUNCTION ensure_partitions() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    wanted date;
BEGIN
    FOREACH parent IN ARRAY ARRAY['event', 'event_no', 'inbox'] LOOP
        FOR offset_days IN -1..2 LOOP
            wanted := (now() AT TIME ZONE 'UTC')::date + offset_days;
            IF to_regclass(format('%I', parent || '_' || to_char(wanted, 'YYYYMMDD'))) IS NULL THEN
                EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                    parent || '_' || to_char(wanted, 'YYYYMMDD'), parent, wanted, wanted + 1);
            END IF;
        END LOOP;
    END LOOP;
END $$;
SELECT ensure_partitions();
